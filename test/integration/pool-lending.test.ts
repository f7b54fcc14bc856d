import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { Asking } from '../../libs/sdk/asking.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import type { LendingPolicy } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { closePool, firstReplica, hive, inState, openPool, servePool, swarm, work } from './pool-harness.ts';

/** Lending over the bus: leases, requests that wait, what a swarm says that it lends. */

beforeAll(openPool);
afterAll(closePool);

const lends = (change: Partial<LendingPolicy>): LendingPolicy => ({
  ...{ swarm: '', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 },
  ...{ version: '0', setBy: '', ...change },
});

test('a lease brings another swarm’s agent, and its release sends it home', async () => {
  await using closing = new Closing();
  const [poor, rich] = [await swarm(closing), await swarm(closing)];
  const type = `t-${randomId(6)}`;
  closing.use(await rich.createAgent({ name: 'x', type, handler: work }));
  const { id } = await poor.submitTask({ type });
  const borrowed = await poor.requestAgent({ type });
  await inState(id, 'SUCCEEDED');
  const none = await refused(poor.hive.pool.requestAgent({ swarm: poor.name, type }));
  expect(none).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'NO_AGENT_FREE' });
  expect(none.message).toContain('1 candidate in other swarms, of those 1 lent');
  await borrowed.release();
  const { agent } = await hive.pool.getAgent({ swarm: rich.name, name: 'x' });
  expect(agent).toMatchObject({ serving: rich.name, lease: '' });
});

test('a request waits for an agent to come, is refused when its time runs out, and can be taken back', async () => {
  await using closing = new Closing();
  const [poor, rich] = [await swarm(closing), await swarm(closing)];
  const type = `t-${randomId(6)}`;
  const requests = async () => (await hive.pool.listAgentRequests({ swarm: poor.name })).requests;
  const ask = (waitMs: number) => poor.hive.pool.requestAgent({ swarm: poor.name, type, waitMs });
  expect(await refused(ask(1))).toMatchObject({
    reason: 'NO_AGENT_FREE',
    message: expect.stringMatching(/^waited 1ms; no agent/),
  });

  const taken = refused(ask(60_000));
  const [waiting] = await until(async () => ((await requests()).length > 0 ? requests() : undefined));
  await poor.hive.pool.withdrawAgentRequest({ id: waiting?.id ?? '' });
  expect(await taken).toMatchObject({ code: 'CANCELLED', reason: 'REQUEST_WITHDRAWN' });

  const borrowing = poor.requestAgent({ type, waitMs: 60_000 });
  await until(async () => (await requests()).length > 0);
  closing.use(await rich.createAgent({ name: 'x', type, handler: work }));
  const borrowed = closing.use(await borrowing);
  expect(borrowed.lease.agent).toBe(`${rich.name}/x`);
  const { id } = await poor.submitTask({ type });
  await inState(id, 'SUCCEEDED');
});

test('who gives up a request leaves neither it nor a lease behind', async () => {
  await using closing = new Closing();
  const [poor, rich] = [await swarm(closing), await swarm(closing)];
  const type = `t-${randomId(6)}`;
  const wish = { swarm: poor.name, type, waitMs: 60_000 };
  const requests = async () => (await hive.pool.listAgentRequests({ swarm: poor.name })).requests;
  const abort = new AbortController();
  const borrowing = refused(poor.requestAgent(wish, { signal: abort.signal }));
  await until(async () => (await requests()).length > 0);
  abort.abort();
  expect(await borrowing).toMatchObject({
    code: 'CANCELLED',
    message: expect.stringMatching(/^request-.* is not wanted any longer/),
  });
  expect(await requests()).toEqual([]);

  const early = new Asking(poor.hive, wish, systemClock);
  early.answer.catch(() => {});
  expect(await early.giveUp()).toEqual({ kind: 'withdrawn' }); // before anybody can have answered
  expect(await requests()).toEqual([]);

  closing.use(await rich.createAgent({ name: 'x', type, handler: work }));
  for (const waitMs of [0, 60_000]) {
    const asking = new Asking(poor.hive, { ...wish, waitMs }, systemClock);
    const { lease } = await asking.answer;
    expect(lease?.id).toBe(asking.id.replace('request', 'lease'));
    expect(await asking.giveUp()).toMatchObject({ kind: 'released', lease: { agent: `${rich.name}/x` } });
    const { agent } = await hive.pool.getAgent({ swarm: rich.name, name: 'x' });
    expect(agent).toMatchObject({ serving: rich.name, lease: '' });
  }
  const odd = await refused(poor.hive.pool.requestAgent({ ...wish, id: 'mine' }));
  expect(odd).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(/id: "mine" must begin with request-/),
  });
});

test('a lent agent is taken back: it is told to stop, and the task moves to another', async () => {
  await using closing = new Closing();
  const [poor, rich] = [await swarm(closing), await swarm(closing)];
  const type = `t-${randomId(6)}`;
  let stopped = false;
  const handler: TaskHandler = async (_, { signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    stopped = true;
  };
  closing.use(await rich.createAgent({ name: 'x', type, handler }));
  const { lease } = await poor.hive.pool.requestAgent({ swarm: poor.name, type });
  const { id } = await poor.submitTask({ type, maxAttempts: 1 });
  await inState(id, 'RUNNING');
  await rich.hive.pool.setLendingPolicy({ policy: lends({ swarm: rich.name, closed: true }) });
  await rich.hive.pool.revokeLease({ lease: lease?.id ?? '', reason: 'needed at home' });
  await until(async () => stopped);
  const waiting = await inState(id, 'QUEUED');
  expect(waiting.attempts).toMatchObject([{ agent: `${rich.name}/x`, outcome: 'OUTCOME_MOVED' }]);
  const none = await refused(poor.hive.pool.requestAgent({ swarm: poor.name, type }));
  expect(none.message).toContain('1 kept by their swarm');
  closing.use(await poor.createAgent({ name: 'own', type, handler: work }));
  await inState(id, 'SUCCEEDED');
});

test('a lending policy with faults is refused with all of them', async () => {
  await using closing = new Closing();
  const code = await swarm(closing);
  const lending = await refused(
    code.hive.pool.setLendingPolicy({ policy: lends({ swarm: code.name, to: [code.name], keepPercent: 101 }) }),
  );
  expect(lending.violations.map(({ field, value }) => `${field} ${value}`)).toEqual([
    `policy.to "${code.name}"`,
    'policy.keepPercent 101',
  ]);
});

test('a request that waits goes on waiting at another replica when the leader stops', async () => {
  await using closing = new Closing();
  const [poor, rich] = [await swarm(closing), await swarm(closing)];
  const type = `t-${randomId(6)}`;
  const borrowing = poor.hive.pool.requestAgent({ swarm: poor.name, type, waitMs: 60_000 }, { timeoutMs: 60_000 });
  await until(async () => (await hive.pool.listAgentRequests({ swarm: poor.name })).total > 0);
  await servePool(closing);
  await firstReplica[Symbol.asyncDispose]();
  expect((await hive.pool.listAgentRequests({ swarm: poor.name })).total).toBe(1);
  closing.use(await rich.createAgent({ name: 'x', type, handler: work }));
  const { lease } = await borrowing;
  expect(lease?.agent).toBe(`${rich.name}/x`);
});
