import { jetstreamManager } from '@nats-io/jetstream';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { deadLetterStream, deadLetterSubject } from '../../libs/protocol/subjects.ts';
import { createExecHandler } from '../../libs/sdk/exec.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { isEnded } from '../../libs/sdk/wait.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { bus, closePool, closing, hive, inState, openPool, PATIENCE_MS, PATIENT, swarm } from './pool-harness.ts';

/** Over the bus: what becomes of tasks that fail, and what tasks may delegate. */

beforeAll(openPool);
afterAll(closePool);
vi.setConfig({ testTimeout: 180_000 });

test('a task that has failed is on the dead-letter stream, once, and can be replayed', async () => {
  const all = closing();
  const own = await swarm(all);
  let isMended = false;
  const handler: TaskHandler = async ({ payload }) => {
    if (!isMended) throw new HiveError('INVALID_ARGUMENT', `cannot read ${JSON.stringify(payload)}`);
    return 'mended';
  };
  all.use(await own.createAgent({ name: 'x', type: 'reader', handler }));
  const { id } = await own.submitTask({ type: 'reader', payload: { file: 'a' }, ...PATIENT });
  await inState(id, 'FAILED', PATIENCE_MS);
  const { letters } = await hive.pool.listDeadLetters({ swarm: own.name });
  expect(letters.map(({ task }) => task?.id)).toEqual([id]);
  const jsm = await jetstreamManager(await bus(all, 'looks on'));
  const stream = deadLetterStream('main');
  const ofPool = { last_by_subj: deadLetterSubject('main', 'pool') };
  const message = await until(async () => {
    const found = await jsm.streams.getMessage(stream, ofPool).catch(() => null);
    return found && (found.json() as Task).id === id ? found : undefined;
  }, PATIENCE_MS);
  expect(message.header.get('hive-dead-reason')).toBe('cannot read {"file":"a"}');
  isMended = true;
  const requests = [hive, own.hive].map((as) => refused(as.pool.replayTask({ task: 'nothing' })));
  expect((await Promise.all(requests)).map(({ code }) => code)).toEqual(['UNAUTHENTICATED', 'NOT_FOUND']);
  const { task } = await own.hive.pool.replayTask({ task: id });
  const ended = await inState(task?.id ?? '', 'SUCCEEDED', PATIENCE_MS);
  expect(ended).toMatchObject({ result: 'mended', origin: { replayOf: id }, spec: { payload: { file: 'a' } } });
  expect((await hive.pool.getDeadLetter({ task: id })).letter?.replays).toEqual([task?.id]);
});

/** Submits tasks of its own kind for ever, each of which does so, too. */
const runaway =
  (own: Hive, swarmName: string, refused: HiveError[]): TaskHandler =>
  async () => {
    const spec = { ...PLAIN, ...PATIENT, swarm: swarmName, type: 'runaway' };
    for (;;) {
      try {
        await own.pool.submitTask({ spec });
      } catch (error) {
        refused.push(error as HiveError);
        return 'stopped';
      }
    }
  };

const PLAIN = { capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0, labels: {}, title: '' };

test('tasks that delegate without end are stopped by the budget of the first', async () => {
  const all = closing();
  const own = await swarm(all);
  const refused: HiveError[] = [];
  const handler = runaway(own.hive, own.name, refused);
  all.use(await own.createAgent({ name: 'x', type: 'runaway', slots: 4, handler }));
  const { id } = await own.submitTask({ type: 'runaway', ...PATIENT, budget: { spend: 30, hops: 0 } });
  const { tasks } = await until(async () => {
    const found = await hive.pool.listTasks({ swarm: own.name, pageSize: 1000 });
    return refused.length > 0 && found.tasks.every(isEnded) ? found : undefined;
  }, PATIENCE_MS);
  expect(tasks).toHaveLength(30);
  expect(refused[0]).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'OVER_BUDGET', retryable: false });
  expect(refused[0]?.message).toContain(`the budget of task "${id}" is 30 units, of which 30 are used`);
  expect((await hive.pool.getTask({ id })).task?.budgetUse).toMatchObject({ used: 30 });
});

test('what several tasks submit in one tick is delegated by each for itself, and by none where none is handled', async () => {
  const all = closing();
  const own = await swarm(all);
  const asking: string[] = [];
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const handler: TaskHandler = async ({ id }) => {
    asking.push(id);
    await gate;
    return (await own.submitSoon({ type: 'nobody' })).id;
  };
  all.use(await own.createAgent({ name: 'x', type: 'asks', slots: 2, handler }));
  const parents = await Promise.all([1, 2].map(async () => (await own.submitTask({ type: 'asks', ...PATIENT })).id));
  await until(async () => new Set(asking).size === 2, PATIENCE_MS);
  const free = gate.then(() => own.submitSoon({ type: 'nobody' }));
  go();
  const parentOf = async (id: string) => (await hive.pool.getTask({ id })).task?.origin?.parent;
  for (const id of parents) {
    const { result } = await inState(id, 'SUCCEEDED', PATIENCE_MS);
    expect(await parentOf(String(result))).toBe(id);
  }
  expect(await parentOf((await free).id)).toBeUndefined();
});

test('what a command is started with says by which task it is delegated', async () => {
  const all = closing();
  const own = await swarm(all);
  const exec = createExecHandler({ command: ['sh', '-c', 'echo "\\"$HIVEBUS_FEDERATION $HIVEBUS_TASK_ID\\""'] });
  onTestFinished(() => exec[Symbol.dispose]());
  all.use(await own.createAgent({ name: 'x', type: 'tells', handler: exec.handler }));
  const { id } = await own.submitTask({ type: 'tells', ...PATIENT });
  expect((await inState(id, 'SUCCEEDED', PATIENCE_MS)).result).toBe(`main ${id}`);
});
