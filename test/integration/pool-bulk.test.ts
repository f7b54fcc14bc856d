import { headers, type Msg } from '@nats-io/nats-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { assignmentSubject, rpcSubject } from '../../libs/protocol/subjects.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { submitAll } from '../../libs/sdk/submit-all.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { followTasks } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import type { SubmitTasksResponse, TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { ResourcePoolServiceService } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { closePool, hive, home, inState, openPool, servePool, swarm } from './pool-harness.ts';

/** Calls with many items: each is answered by itself, over either transport, and by any replica. */

beforeAll(openPool);
afterAll(closePool);

const spec = (swarm: string, change: Partial<TaskSpec> = {}): TaskSpec => ({
  ...{ swarm, type: 'lint', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0 },
  ...{ labels: {}, title: '', ...change },
});
const item = (given: TaskSpec, id = '') => ({ spec: given, id, idempotent: false, dryRun: false });
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));

/** A swarm's token, as another program has it. */
async function tokenOf(name: string): Promise<() => string> {
  const key = await readOrCreateKey(swarmKeyFile(home, 'main', name));
  return tokenSource(key, { kind: 'swarm', swarm: name }, 'main', systemClock.now);
}

/** The pool's methods over gRPC, of a replica that follows. */
async function overGrpc(closing: Closing, name: string) {
  const { binding, authenticate } = await servePool(closing);
  const server = closing.use(await serveGrpc({ bindings: [binding], authenticate, port: 0 }));
  return closing.use(createGrpcClient(server.address, ResourcePoolServiceService, { token: await tokenOf(name) }));
}

test('thousands of tasks are accepted in a few groups', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const { revision: before } = await hive.pool.listTasks({ swarm: code.name });
  const outcomes = await code.submitTasks(times(3000, (i) => ({ spec: { type: 'lint', payload: i } })));
  expect(outcomes.every(({ created, error }) => created && !error)).toBe(true);
  expect(new Set(outcomes.map(({ id }) => id)).size).toBe(3000);
  expect((await hive.pool.listTasks({ swarm: code.name, minRevision: '0' })).total).toBe(3000);
  let records = 0;
  for await (const { record } of hive.pool.watchEvents({ fromRevision: before, untilNow: true })) {
    if (record?.events.some(({ type }) => type === 'task.submitted')) records++;
  }
  expect(records).toBeGreaterThan(0);
  expect(records).toBeLessThan(100); // a record holds 448 KiB of events; calls come in as they come
});

test.each(['the bus', 'gRPC'])('over %s a bad item keeps no other from being accepted', async (transport) => {
  await using closing = new Closing();
  const [code, other] = [await swarm(closing), await swarm(closing)];
  const pool = transport === 'gRPC' ? await overGrpc(closing, code.name) : code.hive.pool;
  const [taken, good] = [`t-${randomId(8)}`, `t-${randomId(8)}`];
  await code.submitTask({ type: 'lint' }, taken);
  const { tasks, revision } = await pool.submitTasks({
    tasks: [
      item(spec(code.name), good),
      item(spec(code.name, { type: 'No Name', priority: 9999 })),
      item(spec(code.name, { type: 'other' }), taken),
      item(spec(other.name)),
      item(spec('nowhere')),
      { id: 'no-spec', idempotent: false, dryRun: false },
      item(spec(code.name, { payload: 'x'.repeat(257 * 1024) })),
      item(spec(code.name), good),
      { ...item(spec(code.name)), dryRun: true },
      item(spec(code.name)),
    ],
  });
  expect(tasks.map(({ refusal: why }) => why?.code ?? 'ok')).toEqual([
    ...['ok', 'INVALID_ARGUMENT', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'PERMISSION_DENIED', 'INVALID_ARGUMENT'],
    ...['INVALID_ARGUMENT', 'ok', 'ok', 'ok'],
  ]);
  expect(tasks[1]?.refusal?.faults).toMatchObject([
    { field: 'spec.type', value: '"No Name"' },
    { field: 'spec.priority', value: '9999', rule: 'must be 0 to 1000' },
  ]);
  expect(tasks[2]?.refusal).toMatchObject({ reason: 'OTHER_SPEC', retryable: false });
  expect(tasks[0]).toMatchObject({ id: good, created: true, state: 'TASK_STATE_QUEUED' });
  expect(tasks[7]).toMatchObject({ id: good, created: false });
  const { total } = await pool.listTasks({ swarm: code.name, minRevision: revision });
  expect(total).toBe(3); // the one before, and the two that were meant and not there yet
});

test('a repeat of the call submits nothing twice, at whichever replica', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  await servePool(closing);
  const token = await tokenOf(code.name);
  const body = JSON.stringify({ tasks: times(50, () => ({ spec: spec(code.name) })) });
  const ask = async (counter: number): Promise<SubmitTasksResponse> => {
    const own = headers();
    own.set('authorization', `Bearer ${token()}`);
    own.set('hive-request-id', `by-hand-${code.name}:${counter}`);
    const subject = rpcSubject('main', 'pool', 'SubmitTasks');
    return (await hive.nc.request(subject, body, { headers: own, timeout: 10_000 })).json();
  };
  const [first, again] = await Promise.all([ask(1), ask(1)]);
  const later = await ask(1);
  expect(first.tasks.every(({ created }) => created)).toBe(true);
  expect(again.tasks).toEqual(first.tasks);
  expect(later.tasks).toEqual(first.tasks);
  const others = await ask(2);
  expect(others.tasks.some(({ id }) => first.tasks.some((task) => task.id === id))).toBe(false);
  const { total } = await hive.pool.listTasks({ swarm: code.name, minRevision: others.revision });
  expect(total).toBe(100);
});

test('bounds are told, and as many refusals as there can be fit into an answer', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const { pool } = code.hive;
  const none = await refused(pool.submitTasks({ tasks: [] }));
  expect(none).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'tasks', value: '0' }] });
  const many = await refused(pool.submitTasks({ tasks: times(2501, () => item(spec('s'))) }));
  expect(many.message).toContain('tasks: 2501 is their number and must be 1 to 2500');
  const swarms = await refused(pool.submitTasks({ tasks: times(65, (i) => item(spec(`s-${i}`))) }));
  expect(swarms.message).toContain('65 is how many swarms they name');
  const reports = await refused(pool.reportTasks({ reports: [] }));
  expect(reports.message).toContain('reports: 0');
  expect(await refused(hive.pool.submitTasks({ tasks: [item(spec(code.name))] }))).toMatchObject({
    ...{ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' },
  });
  const { tasks } = await pool.submitTasks({ tasks: times(2500, () => item(spec('', { type: '' }))) });
  expect(tasks).toHaveLength(2500);
  expect(tasks.every(({ refusal: why }) => why?.code === 'INVALID_ARGUMENT')).toBe(true);
  expect(tasks[0]?.refusal?.faults.length).toBeGreaterThan(0);
  expect(tasks.at(-1)?.refusal?.faults).toEqual([]);
});

test('of many in the SDK, what one call cannot carry is refused alone, and what may pass is tried again', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const large = times(3, (i) => ({
    spec: spec(code.name, { payload: 'y'.repeat(200 * 1024) }),
    id: `big-${i}-${randomId(6)}`,
  }));
  const outcomes = await submitAll(code.hive, [
    { spec: spec(code.name, { payload: 'x'.repeat(2 << 20) }) },
    ...large,
    { spec: spec(code.name) },
  ]);
  expect(outcomes.map(({ error }) => error?.code)).toEqual([
    'RESOURCE_EXHAUSTED',
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(outcomes[1]).toMatchObject({ id: large[0]?.id, created: true });
  let calls = 0;
  const pool = {
    ...code.hive.pool,
    submitTasks: (async (request) => {
      const answer = await code.hive.pool.submitTasks(request);
      if (calls++ > 0) return answer;
      const passing = {
        code: 'RESOURCE_EXHAUSTED',
        message: 'full',
        retryable: true,
        retryAfterMs: 5,
        reason: 'QUEUE_FULL',
      };
      return { ...answer, tasks: answer.tasks.map((task) => ({ ...task, refusal: { ...passing, faults: [] } })) };
    }) as typeof code.hive.pool.submitTasks,
  };
  const [tried] = await submitAll({ pool }, [{ spec: spec(code.name) }]);
  expect(tried).toMatchObject({ state: 'TASK_STATE_QUEUED', error: undefined });
  expect(calls).toBe(2);
  const [given] = await submitAll(
    {
      pool: {
        ...pool,
        submitTasks: async (request) => {
          calls = 0;
          return pool.submitTasks(request);
        },
      },
    },
    [{ spec: spec(code.name) }],
    { patienceMs: 0 },
  );
  expect(given?.error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL', retryAfterMs: 5 });
});

test('reports are taken one by one, each with its own fence', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const agent = await code.hive.as({ kind: 'agent', swarm: code.name, name: 'x' });
  const handler: TaskHandler = (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve));
  const { instance } = closing.use(await code.createAgent({ name: 'x', type: 'lint', slots: 8, handler }));
  const submitted = await code.submitTasks(times(4, () => ({ spec: { type: 'lint' } })));
  const ids = submitted.map(({ id }) => id);
  for (const id of ids) await inState(id, 'RUNNING');
  const report = (task: string, change: object = {}) => ({
    ...{ task, attempt: 1, instance, outcome: 'OUTCOME_SUCCEEDED' as const, result: 1, reason: '', ...change },
  });
  const [a = '', b = '', c = '', d = ''] = ids;
  const reports = [
    report(a),
    report(a),
    report(b, { attempt: 2 }),
    report(c, { instance: 'i0' }),
    report(d, { outcome: 'OUTCOME_MOVED' }),
    report('nothing'),
    report(d, { outcome: 'OUTCOME_TERMINAL', reason: 'broken' }),
  ];
  const { reports: taken } = await agent.pool.reportTasks({ reports });
  expect(taken.map(({ state, refusal: why }) => why?.code ?? state)).toEqual([
    ...['TASK_STATE_SUCCEEDED', 'TASK_STATE_SUCCEEDED', 'ABORTED', 'ABORTED', 'INVALID_ARGUMENT', 'NOT_FOUND'],
    'TASK_STATE_FAILED',
  ]);
  expect(taken[2]).toMatchObject({ task: b, refusal: { reason: 'STALE_ATTEMPT' } });
  const again = await agent.pool.reportTasks({ reports });
  expect(again.reports).toEqual(taken);
  const stranger = await swarm(closing);
  const { reports: refused } = await stranger.hive.pool.reportTasks({ reports: [report(b)] });
  expect(refused[0]?.refusal?.code).toBe('PERMISSION_DENIED');
});

test('each confirmation of many is taken or refused by itself, and a repeat is answered the same', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const agent = await code.hive.as({ kind: 'agent', swarm: code.name, name: 'x' });
  const subject = assignmentSubject('main', code.name, 'x', 'i1');
  const subscription = code.hive.nc.subscribe(subject, { callback: (_, message) => void message.respond() });
  closing.use({ [Symbol.dispose]: () => subscription.unsubscribe() });
  await agent.pool.registerAgent({ swarm: code.name, name: 'x', type: 'lint', instance: 'i1', slots: 8 });
  const [a = '', b = '', c = ''] = (await code.submitTasks(times(3, () => ({ spec: { type: 'lint' } })))).map(
    ({ id }) => id,
  );
  const confirmation = (task: string, change: object = {}) => ({
    ...{ task, attempt: 1, instance: 'i1', logKey: '', ...change },
  });
  const confirmations = [
    confirmation(a),
    confirmation(a),
    confirmation(b, { attempt: 2 }),
    confirmation(c, { instance: 'i0' }),
    confirmation(b, { logKey: 'short' }),
    confirmation('nothing'),
  ];
  const { confirmations: taken } = await agent.pool.confirmAssignments({ confirmations });
  expect(taken.map(({ answer, refusal: why }) => why?.code ?? answer?.cancel)).toEqual([
    ...[false, false, 'ABORTED', 'ABORTED', 'INVALID_ARGUMENT', 'NOT_FOUND'],
  ]);
  expect(taken[0]?.answer?.specDigest).toMatch(/^v1:/);
  expect((await hive.pool.getTask({ id: a })).task?.state).toBe('TASK_STATE_RUNNING');
  const again = await agent.pool.confirmAssignments({ confirmations });
  expect(again.confirmations.map(({ refusal: why }) => why)).toEqual(taken.map(({ refusal: why }) => why));
  const none = await refused(agent.pool.confirmAssignments({ confirmations: [] }));
  expect(none).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'confirmations' }] });
});

const sum = (sizes: readonly number[] = []): number => sizes.reduce((a, b) => a + b, 0);

test('tasks that are submitted together go to an agent, are confirmed and reported together, each in its own trace', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  let finish = () => {};
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const handler = () => finished.then(() => 'good');
  const agent = closing.use(await code.createAgent({ name: 'x', type: 'lint', slots: 8, handler }));
  const seen: Record<string, number[]> = { delivered: [], ConfirmAssignments: [], ReportTasks: [] };
  const count = (name: string, subject: string, sizeOf: (json: never) => number) => {
    const callback = (_: unknown, message: Msg) => {
      if (message.data.length > 0) seen[name]?.push(sizeOf(message.json<never>()));
    };
    const subscription = hive.nc.subscribe(subject, { callback });
    closing.use({ [Symbol.dispose]: () => subscription.unsubscribe() });
  };
  const one = (json: object | object[]) => (Array.isArray(json) ? json.length : 1);
  count('delivered', assignmentSubject('main', code.name, 'x', agent.instance), one);
  count(
    'ConfirmAssignments',
    'hive.main.rpc.pool.ConfirmAssignments',
    (json: { confirmations: [] }) => json.confirmations.length,
  );
  count('ReportTasks', 'hive.main.rpc.pool.ReportTasks', (json: { reports: [] }) => json.reports.length);
  const correlations: string[] = [];
  const ended = hive.nc.subscribe(`hive.main.pool.task.ended.${code.name}.*`, {
    callback: (_, message) => void correlations.push(message.headers?.get('hive-correlation-id') ?? ''),
  });
  closing.use({ [Symbol.dispose]: () => ended.unsubscribe() });
  /** By record: a machine that is busy may take more than one for the eight. */
  const assigned = new Map<string, number>();
  const given = hive.nc.subscribe(`hive.main.pool.task.assigned.${code.name}.x.*`, {
    callback: (_, message) => {
      const revision = message.headers?.get('hive-revision') ?? '';
      assigned.set(revision, (assigned.get(revision) ?? 0) + 1);
    },
  });
  closing.use({ [Symbol.dispose]: () => given.unsubscribe() });
  await hive.nc.flush();

  const submitted = await Promise.all(times(8, () => code.submitSoon({ type: 'lint' })));
  expect(submitted.map(({ created, error }) => [created, error])).toEqual(times(8, () => [true, undefined]));
  for (const { id } of submitted) await inState(id, 'RUNNING');
  finish();
  for (const { id } of submitted) await inState(id, 'SUCCEEDED');
  await until(() => correlations.length === 8);
  const sizes = [...assigned.values()];
  expect(sum(sizes)).toBe(8);
  expect(seen).toMatchObject({ delivered: sizes, ReportTasks: [8] });
  expect(sum(seen.ConfirmAssignments)).toBe(8);
  expect(seen.ConfirmAssignments?.length).toBeLessThanOrEqual(sizes.length);
  const { task } = await hive.pool.getTask({ id: submitted[0]?.id ?? '' });
  expect(new Set(correlations)).toEqual(new Set([task?.correlationId]));
});

test('a watch of tasks tells only of those that are in a wanted state, and of those that are gone', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const states: string[] = [];
  const ended = ['TASK_STATE_SUCCEEDED', 'TASK_STATE_FAILED'] as const;
  closing.use(
    followTasks(hive, { swarm: code.name, states: [...ended] }, ({ id, state }) => void states.push(`${id} ${state}`)),
  );
  closing.use(await code.createAgent({ name: 'x', type: 'lint', slots: 2, handler: async () => 'good' }));
  const { id } = await code.submitTask({ type: 'lint' });
  await until(() => states.length > 0);
  expect(states).toEqual([`${id} TASK_STATE_SUCCEEDED`]);
});
