import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { assignmentSubject, taskLogSubject } from '../../libs/protocol/subjects.ts';
import { until } from '../../libs/testkit/until.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { ask, assignment, deliver, hive, isAnswered, nats, openBus, outcomes, start } from './agent-harness.ts';

/** Which assignments an agent takes, how it runs them, and what it reports. */

openBus();

test('a task is confirmed, run and reported, and its lines are in the log', async () => {
  const { federation, pool, agent } = await start({
    handler: async (task, { log }) => {
      log('working');
      return { was: task.payload, agent: task.agent };
    },
  });
  const lines: string[] = [];
  hive.nc.subscribe(taskLogSubject(federation, 't1'), { callback: (_, message) => void lines.push(message.string()) });
  await hive.nc.flush();
  expect(await deliver(federation, agent, assignment(agent, 't1'))).toBe(true);
  await until(() => pool.reports.length === 1);
  expect(pool.confirmed).toEqual(['t1/1']);
  expect(pool.reports[0]).toMatchObject({
    ...{ task: 't1', attempt: 1, instance: agent.instance, outcome: 'OUTCOME_SUCCEEDED' },
    result: { was: { task: 't1' }, agent: 'code/a' },
  });
  await until(() => lines.length === 1);
  expect(JSON.parse(lines[0] as string)).toMatchObject({ task: 't1', attempt: 1, text: 'working', number: 1 });
});

test('a repeat is answered and not run again; an older epoch or attempt is not answered', async () => {
  let runs = 0;
  const { federation, pool, agent } = await start({ slots: 2, handler: async () => ++runs });
  await deliver(federation, agent, assignment(agent, 't1', 2));
  await until(() => pool.reports.length === 1);
  expect(await deliver(federation, agent, assignment(agent, 't1', 2))).toBe(true);
  expect(await deliver(federation, agent, assignment(agent, 't1', 1))).toBe(false);
  expect(await deliver(federation, agent, assignment(agent, 't2', 1, { epoch: '4' }))).toBe(false);
  expect(runs).toBe(1);
});

test('announcements are for others, an empty request asks who is there, nonsense is not answered', async () => {
  const { federation, pool, agent } = await start({});
  const subject = assignmentSubject(federation, 'code', 'a', agent.instance);
  hive.nc.publish(subject, JSON.stringify({ task: 't1', attempt: 1, agent: 'code/a', instance: agent.instance }));
  expect((await ask(subject, '')).data).toHaveLength(0);
  expect(await isAnswered(subject, '{"task"')).toBe(false);
  expect(await isAnswered(subject, '{"task": "t1", "attempt": 1}')).toBe(false);
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => pool.reports.length === 1);
  expect(pool.confirmed).toEqual(['t1/1']);
});

test('of several in one message it says which it has no slot for; a pool that knows no calls for many gets them one by one', async () => {
  const { federation, pool, agent } = await start({ slots: 2 });
  const subject = assignmentSubject(federation, 'code', 'a', agent.instance);
  const several = ['t1', 't2', 't3'].map((task) => assignment(agent, task));
  const answer = await ask(subject, JSON.stringify([...several, { task: 't4', attempt: 1 }]));
  expect(answer.json()).toEqual({ left: [2, 3] });
  await until(() => pool.reports.length === 2);
  expect(pool.confirmed.sort()).toEqual(['t1/1', 't2/1']);
  expect((await ask(subject, JSON.stringify(several.slice(0, 2)))).data).toHaveLength(0);
  expect(pool.reports).toHaveLength(2);
});

test('an attempt that was given to another is not run', async () => {
  let runs = 0;
  const { federation, pool, agent } = await start({ handler: async () => ++runs }, (pool) => {
    pool.refuse.confirmAssignment = new HiveError('ABORTED', 'given to another');
  });
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => agent.running === 0);
  delete pool.refuse.confirmAssignment;
  await deliver(federation, agent, assignment(agent, 't2'));
  await until(() => pool.reports.length === 1);
  expect(outcomes(pool)).toEqual([['t2/1', 'OUTCOME_SUCCEEDED']]);
  expect(runs).toBe(1);
});

test('cancel ends what runs, also before it has begun', async () => {
  const { federation, pool, agent } = await start({
    handler: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
  });
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => pool.confirmed.length === 1);
  pool.cancelOnConfirm = true;
  expect(await deliver(federation, agent, assignment(agent, 't1', 1, { cancel: true }))).toBe(true);
  await until(() => pool.reports.length === 1);
  await until(() => agent.running === 0);
  await deliver(federation, agent, assignment(agent, 't2'));
  await until(() => pool.reports.length === 2);
  expect(outcomes(pool)).toEqual([
    ['t1/1', 'OUTCOME_CANCELLED'],
    ['t2/1', 'OUTCOME_CANCELLED'],
  ]);
});

test('a forged message stops nothing: neither a cancel nor a later attempt that the pool does not know of', async () => {
  const release: (() => void)[] = [];
  const told: string[] = [];
  const { federation, pool, agent } = await start({
    slots: 2,
    onEvent: (text) => told.push(text),
    handler: (_, { signal }) =>
      new Promise<void>((resolve, reject) => {
        release.push(resolve);
        signal.addEventListener('abort', reject);
      }),
  });
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => release.length === 1);
  await deliver(federation, agent, assignment(agent, 't1', 1, { cancel: true }));
  await until(() => told.some((text) => text.includes('it goes on')));
  expect(await deliver(federation, agent, assignment(agent, 't1', 9, { epoch: '1000000' }))).toBe(false);
  await until(() => told.filter((text) => text.includes('it goes on')).length === 2);
  release[0]?.();
  await until(() => pool.reports.length === 1);
  // A cancel of what has not arrived yet starts it: the pool says that it is this agent's and goes on.
  pool.specs['t2'] = assignment(agent, 't2').spec as TaskSpec;
  await deliver(federation, agent, assignment(agent, 't2', 1, { cancel: true, spec: undefined }));
  await until(() => release.length === 2);
  release[1]?.();
  await until(() => pool.reports.length === 2);
  expect(outcomes(pool)).toEqual([
    ['t1/1', 'OUTCOME_SUCCEEDED'],
    ['t2/1', 'OUTCOME_SUCCEEDED'],
  ]);
});

test('an assignment that the pool refuses stands in the way of none', async () => {
  const { federation, pool, agent } = await start({}, (pool) => {
    pool.refuse.confirmAssignment = new HiveError('ABORTED', 'no such attempt');
  });
  await deliver(federation, agent, assignment(agent, 't1', 9, { epoch: '1000000' }));
  await until(() => agent.running === 0);
  delete pool.refuse.confirmAssignment;
  await deliver(federation, agent, assignment(agent, 't1', 1));
  await until(() => pool.reports.length === 1);
  expect(outcomes(pool)).toEqual([['t1/1', 'OUTCOME_SUCCEEDED']]);
});

test('what is run is what the pool has, whatever the assignment said', async () => {
  const { federation, pool, agent } = await start({ handler: async (task) => [task.script, task.payload] });
  const { spec } = assignment(agent, 't1');
  pool.specs['t1'] = { ...(spec as TaskSpec), script: 'echo good', payload: { z: 1, a: [2] } };
  const forged = { ...(spec as TaskSpec), script: 'echo evil' };
  await deliver(federation, agent, assignment(agent, 't1', 1, { spec: forged }));
  await until(() => pool.reports.length === 1);
  expect(pool.reports[0]?.result).toEqual(['echo good', { z: 1, a: [2] }]);
});

test('the time limit ends an attempt, and one that does not heed it is left behind', async () => {
  const { federation, pool, agent } = await start({ abandonMs: 20, handler: () => new Promise(() => {}) });
  const limited = assignment(agent, 't1');
  await deliver(federation, agent, { ...limited, spec: limited.spec && { ...limited.spec, timeoutMs: 100 } });
  await until(() => pool.reports.length === 1);
  expect(pool.reports[0]).toMatchObject({
    outcome: 'OUTCOME_TIMED_OUT',
    reason: expect.stringMatching(/^over its time limit of 100ms: it had ended after [\d.]+m?s$/),
  });
});

test('what a handler throws is failed, or failed for good when trying again is useless', async () => {
  const { federation, pool, agent } = await start({
    slots: 3,
    handler: async (task) => {
      if (task.id === 't1') throw new Error('broke');
      if (task.id === 't2') throw new HiveError('INVALID_ARGUMENT', 'nonsense');
      return 'x'.repeat(300_000);
    },
  });
  for (const task of ['t1', 't2', 't3']) {
    await deliver(federation, agent, assignment(agent, task));
    await until(() => pool.reports.some((report) => report.task === task));
  }
  expect(pool.reports.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['OUTCOME_FAILED', 'broke'],
    ['OUTCOME_TERMINAL', 'nonsense'],
    // This pool takes no artefacts, which a large result would be.
    ['OUTCOME_FAILED', expect.stringContaining('its result cannot be stored')],
  ]);
});

test('an agent never runs more than its slots, and takes what it missed when it asks', async () => {
  const release: (() => void)[] = [];
  const { federation, pool, agent } = await start({
    handler: () => new Promise<void>((resolve) => release.push(resolve)),
  });
  expect(await deliver(federation, agent, assignment(agent, 't1'))).toBe(true);
  expect(await deliver(federation, agent, assignment(agent, 't2'))).toBe(false);
  pool.assignments = [assignment(agent, 't1'), assignment(agent, 't3')];
  await until(() => release.length === 1);
  release[0]?.();
  await until(() => agent.running === 0);
  await nats.restart();
  await until(() => release.length === 2);
  release[1]?.();
  await until(() => pool.reports.length === 2);
  expect(outcomes(pool).map(([task]) => task)).toEqual(['t1/1', 't3/1']);
});

test('a report is sent until it is taken', async () => {
  const { federation, pool, agent } = await start({}, (pool) => {
    pool.refuse.reportTask = new HiveError('UNAVAILABLE', 'no leader', { retryAfterMs: 10 });
  });
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => pool.confirmed.length === 1);
  delete pool.refuse.reportTask;
  await until(() => pool.reports.length === 1);
});
