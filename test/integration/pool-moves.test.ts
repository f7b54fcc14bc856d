import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomId } from '../../libs/kernel/ids.ts';
import { swarmKeyFile } from '../../libs/sdk/keys.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Migration } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { closePool, firstReplica, hive, home, inState, openPool, servePool, swarm, work } from './pool-harness.ts';

/** Agents of the SDK that are drained and that move to another swarm, over the bus. */

beforeAll(openPool);
afterAll(closePool);

const newType = (): string => `t-${randomId(6)}`;
const agentOf = async (swarmName: string, name: string) =>
  (await hive.pool.getAgent({ swarm: swarmName, name }).catch(() => undefined))?.agent;
const migrationOf = async (id: string): Promise<Migration | undefined> =>
  (await hive.pool.listMigrations({ includeEnded: true, pageSize: 1000 })).migrations.find((row) => row.id === id);
const movedTo = (id: string, state: string) =>
  until(async () => {
    const row = await migrationOf(id);
    return row?.state === `MIGRATION_STATE_${state}` ? row : undefined;
  });

/** Both swarms ask, the one that takes first. */
async function migrate(from: Awaited<ReturnType<typeof swarm>>, to: typeof from, name: string, graceMs = 0) {
  const request = { swarm: from.name, name, to: to.name, graceMs };
  const { migration } = await to.hive.pool.migrateAgent(request);
  expect(migration).toMatchObject({ state: 'MIGRATION_STATE_PROPOSED', taken: true, given: false });
  const answer = await from.hive.pool.migrateAgent(request);
  expect(answer.migration?.id).toBe(migration?.id);
  return answer.migration?.id ?? '';
}

/** Stores a checkpoint at its first attempt and stays; goes on from it at the second. */
const resuming: TaskHandler = async (task, { checkpoint, signal }) => {
  if (task.checkpoint !== undefined) return { from: task.checkpoint };
  await checkpoint({ done: 41 });
  await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
};

test('an agent moves when both swarms agree: its task goes on elsewhere from its checkpoint, and it works there', async () => {
  await using closing = new Closing();
  const [a, b] = [await swarm(closing), await swarm(closing)];
  const type = newType();
  const x = closing.use(await a.createAgent({ name: 'x', type, handler: resuming }));
  const running = await a.submitTask({ type, maxAttempts: 1, continuity: { resume: true, claim: false } });
  await until(async () => (await hive.pool.getTask({ id: running.id })).task?.checkpoint !== undefined);
  closing.use(await a.createAgent({ name: 'y', type, handler: resuming }));
  const id = await migrate(a, b, 'x');
  await movedTo(id, 'ACTIVE');
  await until(() => x.swarm === b.name);
  expect(await agentOf(a.name, 'x')).toBeUndefined();
  const done = await inState(running.id, 'SUCCEEDED');
  expect(done.result).toEqual({ from: { done: 41 } });
  expect(done.attempts.map(({ agent, outcome }) => [agent, outcome])).toEqual([
    [`${a.name}/x`, 'OUTCOME_MOVED'],
    [`${a.name}/y`, 'OUTCOME_SUCCEEDED'],
  ]);
  const there = await b.submitTask({ type, payload: 7, continuity: { resume: true, claim: false } });
  await until(async () => (await hive.pool.getTask({ id: there.id })).task?.state === 'TASK_STATE_RUNNING');
  expect(await agentOf(b.name, 'x')).toMatchObject({ busy: 1, serving: b.name, state: 'AGENT_STATE_READY' });
  expect((await a.hive.pool.migrateAgent({ swarm: a.name, name: 'x', to: b.name })).migration?.id).toBe(id);
});

/** Stores a checkpoint only when its agent is to leave. */
const heeding: TaskHandler = async (task, { checkpoint, leaving }) => {
  if (task.checkpoint !== undefined) return { from: task.checkpoint };
  if (!leaving.aborted) await new Promise((resolve) => leaving.addEventListener('abort', resolve, { once: true }));
  await checkpoint({ done: 7 });
  throw new Error('the rest elsewhere');
};

test('a handler is told that its agent leaves, and its task goes on where the agent went when nobody else can', async () => {
  await using closing = new Closing();
  const [a, b] = [await swarm(closing), await swarm(closing)];
  const type = newType();
  const x = closing.use(await a.createAgent({ name: 'x', type, handler: heeding }));
  const { id } = await a.submitTask({ type, maxAttempts: 100, continuity: { resume: true, claim: false } });
  await until(async () => (await hive.pool.getTask({ id })).task?.state === 'TASK_STATE_RUNNING');
  await movedTo(await migrate(a, b, 'x', 600_000), 'ACTIVE');
  const done = await inState(id, 'SUCCEEDED');
  expect(done.result).toEqual({ from: { done: 7 } });
  expect(done.attempts.at(-1)?.agent).toBe(`${b.name}/x`);
  expect(x.swarm).toBe(b.name);
});

test('the pool’s leader goes away in the middle: the next one goes on', async () => {
  await using closing = new Closing();
  const [a, b] = [await swarm(closing), await swarm(closing)];
  const type = newType();
  let finish = () => {};
  const handler: TaskHandler = () =>
    new Promise((resolve) => {
      finish = () => resolve('done');
    });
  const x = closing.use(await a.createAgent({ name: 'x', type, handler }));
  const { id: task } = await a.submitTask({ type });
  await inState(task, 'RUNNING');
  const id = await migrate(a, b, 'x', 600_000);
  expect((await migrationOf(id))?.state).toBe('MIGRATION_STATE_DRAINING');
  await servePool(closing);
  await firstReplica[Symbol.asyncDispose]();
  finish();
  await movedTo(id, 'ACTIVE');
  expect(await inState(task, 'SUCCEEDED')).toMatchObject({ attempts: [{ agent: `${a.name}/x` }] });
  await until(() => x.swarm === b.name);
  await servePool(firstReplica);
});

test('an agent without the other swarm’s key stays, and says why', async () => {
  await using closing = new Closing();
  const [a, b] = [await swarm(closing), await swarm(closing)];
  const type = newType();
  closing.use(await a.createAgent({ name: 'x', type, handler: work }));
  const file = swarmKeyFile(home, 'main', b.name);
  await rename(file, join(home, 'elsewhere'));
  const id = await migrate(a, b, 'x');
  const row = await movedTo(id, 'CANCELLED');
  expect(row.reason).toMatch(/^cancelled by agent:.*belongs to the key/);
  const { id: task } = await a.submitTask({ type });
  await inState(task, 'SUCCEEDED');
});

test('an agent that is started anew where it was goes to where it is; strangers are refused', async () => {
  await using closing = new Closing();
  const [a, b, c] = [await swarm(closing), await swarm(closing), await swarm(closing)];
  const type = newType();
  const first = closing.use(await a.createAgent({ name: 'x', type, handler: work }));
  const request = { swarm: a.name, name: 'x', to: c.name };
  expect(await refused(b.hive.pool.migrateAgent(request))).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await refused(a.hive.pool.migrateAgent({ ...request, to: a.name }))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('must be another swarm'),
  });
  await movedTo(await migrate(a, b, 'x'), 'ACTIVE');
  const second = closing.use(await a.createAgent({ name: 'x', type, handler: work }));
  expect([second.swarm, second.name]).toEqual([b.name, 'x']);
  expect(await first.closed).toMatchObject({ reason: 'DISPLACED' });
  const { id } = await b.submitTask({ type });
  await inState(id, 'SUCCEEDED');
});

test('an agent that stops tells the pool first: nothing new comes, and what it gives back has used up no attempt', async () => {
  await using closing = new Closing();
  const a = await swarm(closing);
  const type = newType();
  const handler: TaskHandler = ({ attempt }, { signal }) =>
    attempt > 1 ? Promise.resolve('done') : new Promise((_, reject) => signal.addEventListener('abort', reject));
  const x = await a.createAgent({ name: 'x', type, handler });
  const { id: running } = await a.submitTask({ type, maxAttempts: 1 });
  await inState(running, 'RUNNING');
  const stopping = x.stop(300);
  await until(async () => (await agentOf(a.name, 'x'))?.drain !== undefined);
  const { id: next } = await a.submitTask({ type, maxAttempts: 1 });
  expect((await hive.pool.getTask({ id: next, linearizable: true })).task?.state).toBe('TASK_STATE_QUEUED');
  await stopping;
  closing.use(await a.createAgent({ name: 'y', type, handler: async () => 'done' }));
  await inState(next, 'SUCCEEDED');
  const { attempts } = await inState(running, 'SUCCEEDED');
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['OUTCOME_MOVED', 'OUTCOME_SUCCEEDED']);
});
