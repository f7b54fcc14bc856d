import { expect, test } from 'vitest';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { encodeHeaders } from '../../libs/protocol/envelope.ts';
import { SIGNATURE, signatureOf } from '../../libs/protocol/signature.ts';
import { assignmentSubject, heartbeatSubject, taskLogSubject } from '../../libs/protocol/subjects.ts';
import { type KeyPair, newKeyPair } from '../../libs/protocol/token.ts';
import type { Agent, AgentOptions } from '../../libs/sdk/agent-options.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Assignment } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { ask, assignment, type FakePool, hive, openBus, outcomes, start } from './agent-harness.ts';

/** What an agent begins before it has asked the pool, and what it does not. */

openBus();

const key = newKeyPair();

/** An agent that knows the pool's key, and that the pool has heard from just now, however slow this machine is. */
const startKnowing = (options: Partial<AgentOptions>, before: (pool: FakePool) => void = () => {}) =>
  start(options, (pool) => {
    pool.deliveryKey = key.publicKey;
    pool.heartbeatMs = 600_000;
    before(pool);
  });

const atOnce = (agent: Agent, task: string, more: Partial<Assignment> = {}): Assignment =>
  assignment(agent, task, 1, { atOnce: true, assignedMs: '1000', ...more });

async function deliverSigned(
  federation: string,
  agent: Agent,
  message: Assignment | readonly Assignment[],
  by: KeyPair = key,
): Promise<void> {
  const subject = assignmentSubject(federation, 'code', 'a', agent.instance);
  const body = Buffer.from(JSON.stringify(message));
  const headers = rawHeaders(encodeHeaders({ [SIGNATURE]: signatureOf(by, subject, body) }));
  await hive.nc.request(subject, body, { timeout: 10_000, headers });
}

test('what the pool has signed begins at once, and its report says what a confirmation would have said', async () => {
  const { federation, pool, agent } = await startKnowing({});
  await deliverSigned(federation, agent, atOnce(agent, 't1'));
  await until(() => pool.reports.length === 1);
  expect(pool.confirmed).toEqual([]);
  expect(pool.reports[0]).toMatchObject({
    ...{
      task: 't1',
      outcome: 'OUTCOME_SUCCEEDED',
      logKey: expect.stringMatching(/^[\w-]{43}$/),
      ranMs: expect.any(Number),
    },
  });
});

test('what goes on running is confirmed meanwhile', async () => {
  let finish = () => {};
  const { federation, pool, agent } = await startKnowing({
    handler: () => new Promise<void>((resolve) => (finish = resolve)),
  });
  await deliverSigned(federation, agent, atOnce(agent, 't1'));
  await until(() => pool.confirmed.length === 1);
  finish();
  await until(() => pool.reports.length === 1);
  expect([pool.confirmed, outcomes(pool)]).toEqual([['t1/1'], [['t1/1', 'OUTCOME_SUCCEEDED']]]);
});

test('lines of what began at once leave when the pool knows the key that they are signed with', async () => {
  const { federation, pool, agent } = await startKnowing({
    handler: async (_, { log }) => {
      for (let i = 0; i < 5000; i++) log(`line ${i} ${'.'.repeat(100)}`);
    },
  });
  const seen: string[] = [];
  const lines: string[] = [];
  hive.nc.subscribe(taskLogSubject(federation, 't1'), {
    callback: (_, message) => {
      seen.push(pool.confirmed.join());
      lines.push(...message.string().split('\n'));
    },
  });
  await hive.nc.flush();
  await deliverSigned(federation, agent, atOnce(agent, 't1'));
  await until(() => pool.reports.length === 1 && lines.length === 5000);
  expect(new Set(seen)).toEqual(new Set(['t1/1']));
  expect(lines.map((line) => JSON.parse(line).number)).toEqual(lines.map((_, i) => i + 1));
});

test.each([
  ['is not signed', { by: undefined }],
  ['is signed with a key that is not the leader’s', { by: newKeyPair() }],
  ['does not say that it may begin at once', { by: key, more: { atOnce: false } }],
])('what %s is confirmed before it begins', async (_, { by, more }: { by?: KeyPair; more?: Partial<Assignment> }) => {
  const { federation, pool, agent } = await startKnowing({}, (fake) => {
    fake.refuse.confirmAssignment = new HiveError('ABORTED', 'no such attempt');
  });
  const message = atOnce(agent, 't1', more);
  const subject = assignmentSubject(federation, 'code', 'a', agent.instance);
  if (by) await deliverSigned(federation, agent, message, by);
  else await ask(subject, JSON.stringify(message));
  await until(() => agent.running === 0);
  await deliverSigned(federation, agent, atOnce(agent, 't2'));
  await until(() => pool.reports.length === 1);
  expect(outcomes(pool)).toEqual([['t2/1', 'OUTCOME_SUCCEEDED']]);
});

test('another leader has another key, which the agent asks for', async () => {
  const later = newKeyPair();
  const { federation, pool, agent } = await startKnowing({});
  pool.deliveryKey = later.publicKey;
  await deliverSigned(federation, agent, atOnce(agent, 't1'), later);
  await until(() => pool.reports.length === 1);
  expect(pool.confirmed).toEqual(['t1/1']);
  await until(async () => {
    const [reported, confirmed] = [pool.reports.length, pool.confirmed.length];
    await deliverSigned(federation, agent, atOnce(agent, `t${reported + 1}`), later);
    await until(() => pool.reports.length > reported);
    return pool.confirmed.length === confirmed;
  });
});

test('a running attempt that is not the agent’s any more ends; one that shall end is cancelled', async () => {
  const stopped: unknown[] = [];
  const handler: AgentOptions['handler'] = (_, { signal }) =>
    new Promise<void>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        stopped.push(signal.reason);
        reject(signal.reason);
      });
    });
  const { federation, pool, agent } = await startKnowing({ handler }, (fake) => {
    fake.refuse.confirmAssignment = new HiveError('ABORTED', 'it is another’s');
  });
  await deliverSigned(federation, agent, atOnce(agent, 't1'));
  await until(() => stopped.length === 1 && agent.running === 0);
  expect(pool.reports).toEqual([]);
  delete pool.refuse.confirmAssignment;
  pool.cancelOnConfirm = true;
  await deliverSigned(federation, agent, atOnce(agent, 't2', { assignedMs: '2000' }));
  await until(() => pool.reports.length === 1);
  expect(outcomes(pool)).toEqual([['t2/1', 'OUTCOME_CANCELLED']]);
});

test('a message of the pool that is sent again by somebody runs nothing twice', async () => {
  let runs = 0;
  const { federation, pool, agent } = await startKnowing({ handler: async () => ++runs });
  const message = atOnce(agent, 't1');
  await deliverSigned(federation, agent, message);
  await until(() => pool.reports.length === 1);
  await deliverSigned(federation, agent, message);
  await deliverSigned(federation, agent, atOnce(agent, 't2'));
  await until(() => pool.reports.length === 2);
  expect(runs).toBe(2);
});

test('an agent that has sent no heartbeat for a while asks first: it may have been given up', async () => {
  let sleptMs = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + sleptMs };
  const { federation, pool, agent } = await startKnowing({ clock });
  sleptMs = 3_600_000;
  await deliverSigned(federation, agent, atOnce(agent, 't1'));
  await until(() => pool.reports.length === 1);
  expect(pool.confirmed).toEqual(['t1/1']);
});

test('an agent that was silent and beats again asks first until it has heard what still is its own', async () => {
  let sleptMs = 0;
  const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + sleptMs };
  const { federation, pool, agent } = await startKnowing({ clock, slots: 10 }, (fake) => {
    fake.heartbeatMs = 1000;
  });
  let beats = 0;
  hive.nc.subscribe(heartbeatSubject(federation, 'code', 'a'), { callback: () => void beats++ });
  await hive.nc.flush();
  sleptMs = 3_600_000;
  await until(() => beats >= 2);
  await deliverSigned(federation, agent, atOnce(agent, 't1'));
  await until(() => pool.reports.length > 0);
  expect(pool.confirmed).toContain('t1/1');
  pool.assignments = [atOnce(agent, 't2')];
  await deliverSigned(federation, agent, atOnce(agent, 't3'), newKeyPair()); // another's signature makes it ask
  await until(() => pool.reports.some(({ task }) => task === 't2'));
  let last = 3;
  await until(async () => {
    const task = `t${++last}`;
    await deliverSigned(federation, agent, atOnce(agent, task));
    await until(() => pool.reports.some((report) => report.task === task));
    return !pool.confirmed.includes(`${task}/1`);
  });
});

test('a message of the pool that is sent again after a forged one of its task runs nothing twice', async () => {
  const ran: string[] = [];
  const handler: AgentOptions['handler'] = async ({ id }) => void ran.push(id);
  const { federation, pool, agent } = await startKnowing({ handler });
  const genuine = atOnce(agent, 't1');
  await deliverSigned(federation, agent, genuine);
  await until(() => ran.length === 1 && agent.running === 0);
  pool.refuse.confirmAssignment = new HiveError('ABORTED', 'it has ended');
  const subject = assignmentSubject(federation, 'code', 'a', agent.instance);
  const forged = assignment(agent, 't1', 9);
  await ask(subject, JSON.stringify(forged));
  await until(() => agent.running === 0);
  await deliverSigned(federation, agent, genuine);
  await until(() => agent.running === 0);
  await deliverSigned(federation, agent, atOnce(agent, 't2', { assignedMs: '2000' }));
  await until(() => ran.includes('t2'));
  expect(ran).toEqual(['t1', 't2']);
});

test('a forged copy before the pool’s own message neither makes the agent ask for ever, nor has the task run again', async () => {
  const ran: string[] = [];
  const handler: AgentOptions['handler'] = async ({ id }) => void ran.push(id);
  const { federation, pool, agent } = await startKnowing({ handler, slots: 1000 });
  const genuine = atOnce(agent, 't1');
  const forged = JSON.stringify({ ...genuine, atOnce: false, assignedMs: '9'.repeat(15) });
  await ask(assignmentSubject(federation, 'code', 'a', agent.instance), forged);
  await deliverSigned(federation, agent, genuine);
  await until(() => pool.reports.length === 1);
  for (let later = 0; later < 4096; later += 512) {
    const next = Array.from({ length: 512 }, (_, i) => atOnce(agent, `later${later + i}`, { assignedMs: '2000' }));
    await deliverSigned(federation, agent, next);
    await until(() => agent.running === 0);
  }
  await deliverSigned(federation, agent, atOnce(agent, 't2', { assignedMs: '3000' }));
  await until(() => agent.running === 0);
  pool.refuse.confirmAssignment = new HiveError('ABORTED', 'it has ended');
  await deliverSigned(federation, agent, genuine);
  await until(() => agent.running === 0);
  const ofThese = (names: readonly string[]) => names.filter((name) => name.startsWith('t'));
  expect([pool.confirmed, ran].map(ofThese)).toEqual([['t1/1'], ['t1', 't2']]);
});
