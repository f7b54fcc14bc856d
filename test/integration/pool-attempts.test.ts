import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createAgent } from '../../libs/sdk/agent.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { startCable } from '../../libs/testkit/cable.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  closePool,
  firstReplica,
  hive,
  home,
  inState,
  openPool,
  refusal,
  servePool,
  server,
  swarm,
  task,
} from './pool-harness.ts';

/** What holds from one attempt to the next, over the bus: checkpoints and claims. */

beforeAll(openPool, 60_000);
afterAll(closePool);

function closing(): Closing {
  const all = new Closing();
  onTestFinished(() => all[Symbol.asyncDispose]());
  return all;
}

const RESUMES = { continuity: { resume: true, claim: false } };
const CLAIMED = { continuity: { resume: true, claim: true } };

test('an attempt goes on from the last checkpoint of the one before, whoever leads by then', async () => {
  const all = closing();
  const own = await swarm(all);
  const seen: unknown[] = [];
  const handler: TaskHandler = async ({ attempt, checkpoint }, run) => {
    seen.push(checkpoint);
    if (attempt === 2) await second;
    const { done = 0 } = (checkpoint ?? {}) as { done?: number };
    // The newest takes the place of those that still wait.
    await Promise.all([
      run.checkpoint({ done: done + 1 }),
      run.checkpoint({ done: done + 2 }),
      run.checkpoint({ done: done + 3 }),
    ]);
    if (attempt < 3) throw new Error('again');
    return { done: done + 3 };
  };
  let go = () => {};
  const second = new Promise<void>((resolve) => {
    go = resolve;
  });
  all.use(await own.createAgent({ name: 'x', type: 'count', handler }));
  const { id } = await own.submitTask({ type: 'count', ...RESUMES });
  await until(() => seen.length === 2);
  expect(seen).toEqual([undefined, { done: 3 }]);
  expect((await task(id)).checkpoint).toMatchObject({ attempt: 1, bytes: 10 });
  await servePool(all);
  await firstReplica[Symbol.asyncDispose]();
  const kept = await until(() => hive.pool.getCheckpoint({ task: id }).catch(() => undefined));
  expect(kept.checkpoint).toMatchObject({ attempt: 1, data: { done: 3 } });
  go();
  expect((await inState(id, 'SUCCEEDED')).result).toEqual({ done: 9 });
  expect(seen).toEqual([undefined, { done: 3 }, { done: 6 }]);
  expect((await hive.pool.getCheckpoint({ task: id })).checkpoint).toBeUndefined();
  await servePool(firstReplica);
});

test('a checkpoint that is too large is refused at once; a task that does not resume keeps none', async () => {
  const all = closing();
  const own = await swarm(all);
  const errors: unknown[] = [];
  const handler: TaskHandler = async (_, run) => {
    await run.checkpoint('x'.repeat(70_000)).catch((error) => errors.push(error));
    await run.checkpoint(undefined).catch((error) => errors.push(error));
    await run.checkpoint('kept');
  };
  all.use(await own.createAgent({ name: 'x', type: 'large', handler }));
  const { id } = await own.submitTask({ type: 'large', ...RESUMES });
  await inState(id, 'SUCCEEDED');
  const invalid = { code: 'INVALID_ARGUMENT' };
  expect(errors).toEqual([expect.objectContaining(invalid), expect.objectContaining(invalid)]);
  const plain = await own.submitTask({ type: 'large' });
  await inState(plain.id, 'SUCCEEDED');
  expect(errors).toHaveLength(2);
  const said = { task: plain.id, attempt: 1, instance: 'other', data: 'x'.repeat(70_000) };
  expect(await refusal(hive.pool.saveCheckpoint(said))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [{ field: 'data', rule: 'is its size in bytes and must be at most 65536' }],
  });
});

test('a claim is renewed as long as the work takes', async () => {
  const all = closing();
  const own = await swarm(all);
  const renewals: number[] = [];
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const handler: TaskHandler = async (_, { claim, signal }) => {
    claim?.follow((leftMs) => renewals.push(leftMs));
    await gate;
    return { aborted: signal.aborted };
  };
  all.use(await own.createAgent({ name: 'x', type: 'long', handler }));
  const { id } = await own.submitTask({ type: 'long', ...CLAIMED });
  await until(() => renewals.length > 4);
  go();
  expect((await inState(id, 'SUCCEEDED')).result).toEqual({ aborted: false });
});

test('an agent that is cut off ends what it has a claim for, and only then another begins', async () => {
  const all = closing();
  const own = await swarm(all);
  const spans: { attempt: number; from: number; to: number }[] = [];
  const handler: TaskHandler = async ({ attempt }, { signal }) => {
    const span = { attempt, from: performance.now(), to: Number.NaN };
    spans.push(span);
    if (attempt === 1) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    span.to = performance.now();
    return attempt;
  };
  const cable = all.use(await startCable(server.url));
  const apart = await connect({ servers: cable.url, home, env: {} });
  all.use({ [Symbol.asyncDispose]: () => apart.nc.close() });
  all.use(await createAgent({ hive: apart, swarm: own.name, name: 'x', type: 'cut', priority: 9, handler }));
  const { id } = await own.submitTask({ type: 'cut', ...CLAIMED });
  await inState(id, 'RUNNING');
  all.use(await own.createAgent({ name: 'y', type: 'cut', handler }));
  cable.pull();
  const { result, attempts } = await inState(id, 'SUCCEEDED');
  expect(result).toBe(2);
  expect(attempts.map(({ agent }) => agent)).toEqual([`${own.name}/x`, `${own.name}/y`]);
  expect(spans[0]?.to).toBeLessThanOrEqual(spans[1]?.from ?? 0);
});

test('an agent that leaves gives a claim back, so that nobody waits for its end', async () => {
  const all = closing();
  const own = await swarm(all);
  const handler: TaskHandler = ({ attempt }, { signal }) =>
    new Promise((resolve) => {
      if (attempt > 1) resolve(attempt);
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
  const first = await own.createAgent({ name: 'x', type: 'leave', priority: 9, handler });
  const { id } = await own.submitTask({ type: 'leave', ...CLAIMED });
  await inState(id, 'RUNNING');
  all.use(await own.createAgent({ name: 'y', type: 'leave', handler }));
  await first.stop();
  const { attempts } = await inState(id, 'SUCCEEDED');
  expect(attempts.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['OUTCOME_LOST', 'its agent stops'],
    ['OUTCOME_SUCCEEDED', ''],
  ]);
});
