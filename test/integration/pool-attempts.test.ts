import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createAgent } from '../../libs/sdk/agent.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { startCable } from '../../libs/testkit/cable.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  closePool,
  closing,
  firstReplica,
  hive,
  home,
  inState,
  openPool,
  PATIENCE_MS,
  PATIENT,
  servePool,
  server,
  swarm,
  task,
} from './pool-harness.ts';

/** What holds from one attempt to the next, over the bus: checkpoints and claims. */

beforeAll(openPool);
afterAll(closePool);
vi.setConfig({ testTimeout: 180_000 });

const RESUMES = { continuity: { resume: true, claim: false } };
const CLAIMED = { continuity: { resume: true, claim: true } };

test('how far an attempt is shows while it runs, and not of the one before', async () => {
  const all = closing();
  const own = await swarm(all);
  let isSaying = true;
  let isOver = false;
  const handler: TaskHandler = async (_, run) => {
    if (isSaying) {
      run.progress(40.4, 'counting');
      await until(() => !isSaying, PATIENCE_MS);
      throw new Error('again');
    }
    await until(() => isOver, PATIENCE_MS);
  };
  all.use(await own.createAgent({ name: 'x', type: 'far', handler }));
  const { id } = await own.submitTask({ type: 'far', ...PATIENT });
  const seen = await until(async () => (await task(id)).progress, PATIENCE_MS);
  expect(seen).toMatchObject({ percent: 40, text: 'counting' });
  isSaying = false;
  const second = await until(async () => {
    const now = await task(id);
    return now.attempts.length > seen.attempt && now.state === 'TASK_STATE_RUNNING' ? now : undefined;
  }, PATIENCE_MS);
  expect(second.progress).toBeUndefined();
  isOver = true;
  await inState(id, 'SUCCEEDED');
});

test('an attempt goes on from the last checkpoint of the one before, whoever leads by then', async () => {
  const all = closing();
  const own = await swarm(all);
  const seen: string[] = [];
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  const handler: TaskHandler = async ({ checkpoint }, run) => {
    seen.push(JSON.stringify(checkpoint));
    const { done = 0 } = (checkpoint ?? {}) as { done?: number };
    if (done === 3) await gate;
    await run.checkpoint({ done: done + 3 });
    if (done < 6) throw new Error('again');
    return { done: done + 3 };
  };
  all.use(await own.createAgent({ name: 'x', type: 'count', handler }));
  const { id } = await own.submitTask({ type: 'count', ...RESUMES, ...PATIENT });
  await until(() => seen.includes('{"done":3}'), PATIENCE_MS);
  expect((await task(id)).checkpoint).toMatchObject({ bytes: 10 });
  await servePool(all);
  await firstReplica[Symbol.asyncDispose]();
  const kept = await until(() => hive.pool.getCheckpoint({ task: id }).catch(() => undefined), PATIENCE_MS);
  expect(kept.checkpoint).toMatchObject({ data: { done: 3 } });
  go();
  expect((await inState(id, 'SUCCEEDED', PATIENCE_MS)).result).toEqual({ done: 9 });
  expect([...new Set(seen)]).toEqual([undefined, '{"done":3}', '{"done":6}']);
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
  const { id } = await own.submitTask({ type: 'large', ...RESUMES, ...PATIENT });
  await inState(id, 'SUCCEEDED', PATIENCE_MS);
  const invalid = { code: 'INVALID_ARGUMENT' };
  expect(errors.slice(0, 2)).toEqual([expect.objectContaining(invalid), expect.objectContaining(invalid)]);
  const plain = await own.submitTask({ type: 'large', ...PATIENT });
  errors.length = 0;
  await inState(plain.id, 'SUCCEEDED', PATIENCE_MS);
  expect(errors).toEqual([]);
  const said = { task: plain.id, attempt: 1, instance: 'other', data: 'x'.repeat(70_000) };
  expect(await refused(hive.pool.saveCheckpoint(said))).toMatchObject({
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
  const { id } = await own.submitTask({ type: 'long', ...CLAIMED, ...PATIENT });
  await until(() => renewals.length > 4, PATIENCE_MS);
  go();
  expect((await inState(id, 'SUCCEEDED', PATIENCE_MS)).result).toEqual({ aborted: false });
});

test('an agent that is cut off ends what it has a claim for, and only then another begins', async () => {
  const all = closing();
  const own = await swarm(all);
  const spans: { attempt: number; from: number; to: number }[] = [];
  const handler: TaskHandler = async ({ attempt, agent }, { signal }) => {
    const span = { attempt, from: performance.now(), to: Number.NaN };
    spans.push(span);
    if (agent.endsWith('/x')) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    span.to = performance.now();
    return attempt;
  };
  const cable = all.use(await startCable(server.url));
  const apart = await connect({ servers: cable.url, home, env: {} });
  all.use({ [Symbol.asyncDispose]: () => apart.nc.close() });
  all.use(await createAgent({ hive: apart, swarm: own.name, name: 'x', type: 'cut', priority: 9, handler }));
  const { id } = await own.submitTask({ type: 'cut', ...CLAIMED, ...PATIENT });
  await until(() => spans.length > 0, PATIENCE_MS);
  all.use(await own.createAgent({ name: 'y', type: 'cut', handler }));
  cable.pull();
  const { result, attempts } = await inState(id, 'SUCCEEDED', PATIENCE_MS);
  expect(attempts[0]?.agent).toBe(`${own.name}/x`);
  expect(attempts[Number(result) - 1]?.agent).toBe(`${own.name}/y`);
  for (const [i, { from }] of spans.entries()) if (i > 0) expect(spans[i - 1]?.to).toBeLessThanOrEqual(from);
});

test.each([
  ['a task with a claim', CLAIMED, 0, 'its agent stops'],
  ['what a handler gives back by itself', {}, PATIENCE_MS, 'its agent leaves'],
])('%s moves when its agent stops', async (_, continuity, drainMs, why) => {
  const all = closing();
  const own = await swarm(all);
  const handler: TaskHandler = async ({ agent, attempt }, { signal, leaving }) => {
    if (agent.endsWith('/y')) return attempt;
    const stops = drainMs === 0 ? signal : leaving;
    await new Promise((resolve) => stops.addEventListener('abort', resolve, { once: true }));
    stops.throwIfAborted();
    return attempt;
  };
  const first = await own.createAgent({ name: 'x', type: 'once', priority: 9, handler });
  const { id } = await own.submitTask({ type: 'once', ...continuity, ...PATIENT });
  await inState(id, 'RUNNING', PATIENCE_MS);
  all.use(await own.createAgent({ name: 'y', type: 'once', handler }));
  await first.stop(drainMs);
  const { attempts } = await inState(id, 'SUCCEEDED', PATIENCE_MS);
  expect(attempts.find(({ reason }) => reason === why)?.outcome).toBe('OUTCOME_MOVED');
  expect(attempts.at(-1)?.agent).toBe(`${own.name}/y`);
});
