import { join } from 'node:path';
import { headers } from '@nats-io/nats-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { randomId } from '../../libs/kernel/ids.ts';
import { assignmentSubject, taskLogSubject } from '../../libs/protocol/subjects.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import type { AgentTask, TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { callBy } from '../../libs/testkit/call.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolApi } from '../../services/resource-pool/api.ts';
import { createResourcePool } from '../../services/resource-pool/service.ts';
import {
  bus,
  closePool,
  firstReplica,
  hive,
  home,
  inState,
  openPool,
  QUICK,
  servePool,
  server,
  swarm,
  task,
  work,
} from './pool-harness.ts';

/** The pool with a registry, real agents and a real nats-server. */

beforeAll(openPool);
afterAll(closePool);

/** An agent by hand, on a connection of its own that can be cut: it confirms what it is given, and does nothing. */
async function idler(owner: Swarm, name: string, closing: Closing): Promise<Hive> {
  const own = await connect({
    servers: server.url,
    home,
    env: {},
    identity: { kind: 'agent', swarm: owner.name, name },
  });
  closing.use({ [Symbol.asyncDispose]: () => own.nc.close() });
  own.nc.subscribe(assignmentSubject('main', owner.name, name, 'i1'), {
    callback: (_, message) => {
      message.respond();
      if (message.data.length === 0) return;
      const { task, attempt } = message.json<{ task: string; attempt: number }>();
      void own.pool.confirmAssignment({ task, attempt, instance: 'i1' });
    },
  });
  await own.pool.registerAgent({ swarm: owner.name, name, type: 'lint', instance: 'i1' });
  return own;
}

const own = ({ name }: Swarm) => ({ kind: 'swarm', swarm: name }) as const;
const spec = (change: Partial<TaskSpec>): TaskSpec => ({
  ...{ swarm: '', type: 'lint', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0 },
  ...{ labels: {}, title: '', ...change },
});

describe('a task', () => {
  test('is given out, run and kept with its result and its output', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const handler: TaskHandler = async (given, run) => {
      for (let i = 1; i <= 5; i++) run.log(`line ${i}`);
      return { path: given.payload };
    };
    closing.use(await code.createAgent({ name: 'x', type: 'lint', handler }));
    const { id } = await code.submitTask({ type: 'lint', payload: 'a.ts' });
    const lines: string[] = [];
    for await (const batch of hive.pool.readTaskLog({ id, follow: true })) {
      lines.push(...batch.lines.map(({ text }) => text));
    }
    expect(lines).toEqual(['line 1', 'line 2', 'line 3', 'line 4', 'line 5']);
    const ended = await inState(id, 'SUCCEEDED');
    expect(ended).toMatchObject({ result: { path: 'a.ts' }, submittedBy: `swarm:${code.name}` });
    expect(ended.attempts).toHaveLength(1);
    const kept = [];
    for await (const batch of hive.pool.readTaskLog({ id, follow: false })) kept.push(...batch.lines);
    expect(kept.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5]);
  });

  test('shows only what its own agent has written, whoever else writes into its log', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    let forge = async (_: AgentTask) => {};
    const handler: TaskHandler = async (given, run) => {
      run.log('one');
      run.log('two');
      await forge(given);
      run.log('three');
    };
    closing.use(await code.createAgent({ name: 'x', type: 'lint', handler }));
    forge = async ({ id, attempt }) => {
      const subject = taskLogSubject('main', id);
      const line = { task: id, attempt, stream: 'LOG_STREAM_STDOUT', text: 'evil', number: 3, at: new Date(0) };
      hive.nc.publish(subject, JSON.stringify(line));
      hive.nc.publish(subject, JSON.stringify({ ...line, attempt: 9 }));
      const forged = headers();
      forged.set('hive-signature', 'A'.repeat(86));
      hive.nc.publish(subject, JSON.stringify(line), { headers: forged });
      await hive.nc.flush();
    };
    const { id } = await code.submitTask({ type: 'lint' });
    await inState(id, 'SUCCEEDED');
    const lines: string[] = [];
    for await (const batch of hive.pool.readTaskLog({ id, follow: true }))
      lines.push(...batch.lines.map(({ text }) => text));
    expect(lines).toEqual(['one', 'two', 'three']);
  });

  test('that waits says why, and its changes can be watched', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const end = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { changed } of hive.pool.watchTasks({ swarm: code.name }, { signal: end.signal })) {
        seen.push(...changed.map(({ state }) => state.slice('TASK_STATE_'.length)));
      }
    })().catch(() => {});
    await until(async () => {
      await code.submitTask({ type: 'never' });
      return seen.length > 0;
    });
    const { id, waitingFor } = await code.submitTask({ type: 'lint' });
    expect(waitingFor).toBe(`an agent of type lint: swarm ${code.name} has none of its own`);
    closing.use(await code.createAgent({ name: 'x', type: 'lint', handler: work }));
    await inState(id, 'SUCCEEDED');
    await until(() => seen.includes('SUCCEEDED'));
    end.abort();
    await watching;
    expect(seen.indexOf('QUEUED')).toBeLessThan(seen.indexOf('SUCCEEDED'));
  });

  test('that runs is cancelled through its agent', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const handler: TaskHandler = (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    closing.use(await code.createAgent({ name: 'x', type: 'lint', handler }));
    const { id } = await code.submitTask({ type: 'lint' });
    await inState(id, 'RUNNING');
    await code.hive.pool.cancelTask({ id, reason: 'enough' });
    expect(await inState(id, 'CANCELLED')).toMatchObject({ reason: 'enough' });
  });
});

describe('an agent', () => {
  test('whose connection is closed loses its work to another at once', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const doomed = await idler(code, 'doomed', closing);
    const { id } = await code.submitTask({ type: 'lint' });
    await inState(id, 'RUNNING');
    closing.use(await code.createAgent({ name: 'heir', type: 'lint', handler: work }));
    await doomed.nc.close();
    const ended = await inState(id, 'SUCCEEDED');
    expect(ended.attempts.map(({ agent, outcome }) => [agent, outcome])).toEqual([
      [`${code.name}/doomed`, 'OUTCOME_LOST'],
      [`${code.name}/heir`, 'OUTCOME_SUCCEEDED'],
    ]);
    expect(ended.attempts[0]?.reason).toBe('agent unreachable: its connection is closed');
  });

  test('that is connected and silent is suspected, then given up; when it beats again, it is back', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const as = await hive.as({ kind: 'agent', swarm: code.name, name: 'mute' });
    const me = { swarm: code.name, agent: 'mute', instance: 'i1' };
    const subject = assignmentSubject('main', code.name, 'mute', 'i1');
    const subscription = hive.nc.subscribe(subject, { callback: () => {} });
    closing.use({ [Symbol.dispose]: () => subscription.unsubscribe() });
    await as.pool.registerAgent({ swarm: code.name, name: 'mute', type: 'lint', instance: 'i1', slots: 1 });
    const seen = async (state: string) => {
      const { agent } = await hive.pool.getAgent({ swarm: code.name, name: 'mute' });
      return agent?.state === `AGENT_STATE_${state}`;
    };
    await until(() => seen('SUSPECT'));
    await until(() => seen('UNREACHABLE'));
    as.publish(`hive.main.heartbeat.${code.name}.mute`, 'hivebus.pool.v1.AgentHeartbeat', { ...me, busy: 0 });
    await until(() => seen('READY'));
  });

  test('that never confirms is passed over, without a loss of attempts', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const as = await hive.as({ kind: 'agent', swarm: code.name, name: 'mute' });
    const subject = assignmentSubject('main', code.name, 'mute', 'i1');
    let deliveries = 0;
    const subscription = hive.nc.subscribe(subject, {
      callback: (_, message) => {
        if (message.data.length > 0) deliveries++;
      },
    });
    closing.use({ [Symbol.dispose]: () => subscription.unsubscribe() });
    const beat = { swarm: code.name, agent: 'mute', instance: 'i1', busy: 0 };
    const beating = setInterval(
      () => as.publish(`hive.main.heartbeat.${code.name}.mute`, 'hivebus.pool.v1.AgentHeartbeat', beat),
      100,
    );
    closing.use({ [Symbol.dispose]: () => clearInterval(beating) });
    await as.pool.registerAgent({ swarm: code.name, name: 'mute', type: 'lint', instance: 'i1', priority: 9 });
    const { id } = await code.submitTask({ type: 'lint', maxAttempts: 1 });
    closing.use(await code.createAgent({ name: 'heir', type: 'lint', handler: work }));
    const ended = await inState(id, 'SUCCEEDED');
    expect(ended.attempts.map(({ reason }) => reason)).toEqual(['not confirmed within 1s', '']);
    expect(deliveries).toBeGreaterThanOrEqual(1);
  });
});

test('a swarm that is deregistered takes its tasks with it, and the next owner of its name has no part in them', async () => {
  await using closing = new Closing();
  const name = `s-${randomId(8)}`;
  const first = closing.use(await createSwarm({ hive, name }));
  const { id } = await first.submitTask({ type: 'never' });
  await first.hive.registry.deregisterSwarm({ name });
  const other = closing.use(await connect({ servers: server.url, home: join(home, 'other'), env: {} }));
  const next = closing.use(await createSwarm({ hive: other, name }));
  const { id: own } = await next.submitTask({ type: 'never' });
  expect(await inState(id, 'CANCELLED')).toMatchObject({ reason: `swarm ${name} was deregistered` });
  expect(await task(own)).toMatchObject({ state: 'TASK_STATE_QUEUED' });
});

test('a swarm that has just registered is known to every replica and to the leader behind it', async () => {
  await using closing = new Closing();
  const [nc, announcer] = [await bus(closing, 'pool-2'), await bus(closing, 'pool-2-announcer')];
  const standby = closing.use(createResourcePool(QUICK, { nc, announcer, operatorKey: () => undefined }));
  await standby.ready();
  const api = standby.binding.apiOf('main') as unknown as PoolApi;
  for (let i = 0; i < 10; i++) {
    const code = await swarm(closing);
    const token = tokenSource(
      await readOrCreateKey(swarmKeyFile(home, 'main', code.name)),
      own(code),
      'main',
      Date.now,
    )();
    const principal = standby.authenticate(token, 'main');
    const call = callBy(principal, { token });
    const { task } = await api.submitTask(
      { id: '', idempotent: false, dryRun: false, spec: spec({ swarm: code.name, type: 'never' }) },
      call,
    );
    expect(task?.state).toBe('TASK_STATE_QUEUED');
  }
});

describe('bad input', () => {
  test('is refused with all its faults', async () => {
    await using closing = new Closing();
    const code = await swarm(closing);
    const bad = spec({ swarm: 'No', type: '', timeoutMs: 5, priority: 5000, labels: { 'A b': 'x' } });
    const error = await refused(code.hive.pool.submitTask({ id: 'a.b', spec: bad }));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.violations.map(({ field }) => field)).toEqual([
      'id',
      'spec.swarm',
      'spec.type',
      'spec.timeoutMs',
      'spec.priority',
      'spec.labels key',
    ]);
    const large = spec({ swarm: code.name, payload: 'x'.repeat(300 * 1024) });
    const weights = { performance: 500, free: 600, locality: 0, specialisation: 0, priority: 0, cost: 0 };
    const policy = await refused(code.hive.pool.setPolicy({ weights, typicalCost: 2_000_000 }));
    expect(policy.violations.map(({ field, rule }) => `${field} ${rule}`)).toEqual([
      'weights must add up to 1000, and add up to 1100',
      'typicalCost must be 0 to 1000000',
    ]);
    const tooLarge = await refused(code.hive.pool.submitTask({ id: '', spec: large }));
    expect(tooLarge.violations[0]).toMatchObject({ field: 'spec.payload', value: '307202' });
  });

  test('strangers, nobody and the unknown are told apart', async () => {
    await using closing = new Closing();
    const [mine, other] = [await swarm(closing), await swarm(closing)];
    const submit = (as: Hive, name: string) => refused(as.pool.submitTask({ id: '', spec: spec({ swarm: name }) }));
    expect(await submit(other.hive, mine.name)).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await submit(hive, mine.name)).toMatchObject({ code: 'UNAUTHENTICATED' });
    const ghost = await hive.as({ kind: 'swarm', swarm: 'ghost' });
    const unknown = await submit(ghost, 'ghost');
    expect(unknown).toMatchObject({ code: 'NOT_FOUND' });
    expect(unknown.message).toContain('hivebus register-swarm ghost');
    expect(await refused(hive.pool.getTask({ id: 'nothing' }))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

test('when the leader stops another replica goes on, and no task is lost', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const submit = async (i: number) => (await code.submitTask({ type: 'lint', payload: i })).id;
  const submitted = Array.from({ length: 20 }, (_, i) => submit(i));
  await servePool(closing);
  closing.use(await code.createAgent({ name: 'x', type: 'lint', slots: 4, handler: work }));
  const [, ids] = await Promise.all([
    firstReplica[Symbol.asyncDispose](),
    Promise.all([...submitted, ...Array.from({ length: 40 }, (_, i) => submit(20 + i))]),
  ]);
  const ended = await Promise.all(ids.map((id) => inState(id, 'SUCCEEDED')));
  expect(ended.map(({ result }) => result)).toEqual(ids.map((_, i) => ({ done: i })));
});
