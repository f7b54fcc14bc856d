import { describe, expect, test } from 'vitest';
import type { SwarmLimits, TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { knownSwarms, Pool, queen, wanted } from './fixtures.ts';

const none = { weight: 0, maxRunning: 0, maxQueued: 0, maxLeases: 0, maxRequests: 0 };
const limit = (pool: Pool, change: Partial<SwarmLimits>, expectedVersion = '0', principal = pool.operator) => {
  const limits = { ...none, swarm: 'a', submitsPerSecond: 0, submitBurst: 0, version: '0', setBy: '', ...change };
  return pool.run.execute('setSwarmLimits', { limits, expectedVersion }, { principal }).limits;
};
const submit =
  (pool: Pool, id: string, change: Partial<TaskSpec> = {}) =>
  () =>
    pool.submit(id, change);
const overLimit = expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'OVER_LIMIT', retryable: true });

describe('a swarm that is at its limit', () => {
  test('has its tasks wait although agents are free, and the first takes the room that another leaves', () => {
    const pool = new Pool();
    limit(pool, { maxRunning: 1 });
    pool.register('x', { slots: 4 });
    pool.register('y', { type: 'test' });
    pool.submit('t1');
    pool.submit('t2');
    pool.submit('t3', { type: 'test', priority: 1 });
    pool.submit('theirs', { swarm: 'b' });
    expect(pool.task('t2').waitingFor).toBe('the end of a task of swarm a, which runs 1 of at most 1');
    const { placement } = pool.run.query('explain', { id: 't2', minRevision: '0' });
    expect(placement?.conditions.at(-1)).toMatchObject({ name: 'limit', ruledOut: 1, left: 0 });
    pool.report('t1');
    expect([pool.where('t2'), pool.where('t3')]).toEqual(['QUEUED', 'ASSIGNED on a/y']);
    limit(pool, { maxRunning: 2 });
    expect(pool.where('t2')).toBe('ASSIGNED on a/x');
  });

  test('may have no more tasks wait', () => {
    const pool = new Pool();
    limit(pool, { maxQueued: 1 });
    pool.submit('t1');
    expect(submit(pool, 't2')).toThrow(overLimit);
    pool.submit('theirs', { swarm: 'b' });
  });

  test('borrows no more, and waits until it has given one back', () => {
    const pool = new Pool();
    limit(pool, { maxLeases: 1, maxRequests: 1 });
    for (const name of ['x', 'y']) pool.register(name, { swarm: 'b' });
    const ask = (waitMs: number) => pool.run.execute('requestAgent', wanted({ waitMs }));
    const { lease } = ask(0);
    expect(() => ask(0)).toThrow(/has borrowed 1 agent, which is its limit/);
    const { request } = ask(9000);
    expect(() => ask(9000)).toThrow(overLimit);
    pool.run.execute('releaseLease', { lease: lease?.id ?? '' });
    expect(pool.run.state.leases.get(request.replace('request', 'lease'))?.state).toBe('LEASE_STATE_ACTIVE');
  });

  test('submits no faster, with a burst after a while without', () => {
    const pool = new Pool();
    limit(pool, { submitsPerSecond: 2, submitBurst: 3 });
    for (const id of ['t1', 't2', 't3']) pool.submit(id);
    expect(submit(pool, 't4')).toThrow(expect.objectContaining({ reason: 'OVER_LIMIT', retryAfterMs: 500 }));
    pool.now += 500;
    pool.submit('t4');
    expect(submit(pool, 't5')).toThrow(overLimit);
    pool.now += 60_000;
    for (const id of ['t5', 't6', 't7']) pool.submit(id);
    expect(submit(pool, 't8')).toThrow(overLimit);
    expect(pool.run.restore().rates.get('a')).toEqual(pool.run.state.rates.get('a'));
    limit(pool, {});
    for (const id of ['t8', 't9']) pool.submit(id);
    expect(pool.run.state.rates.size).toBe(0);
  });
});

test("limits are set by operators, versioned, and within the federation's", () => {
  const pool = new Pool({ maxQueued: 100 });
  expect(() => limit(pool, {}, '0', queen('a'))).toThrow(/only an operator/);
  expect(() => limit(pool, { maxQueued: 101, maxRequests: 20_000 })).toThrow(
    expect.objectContaining({
      violations: [
        { field: 'limits.maxQueued', value: '101', rule: "must be at most 100, which is the federation's" },
        { field: 'limits.maxRequests', value: '20000', rule: expect.stringContaining('at most 10000') },
      ],
    }),
  );
  expect(limit(pool, { weight: 500 })).toMatchObject({ weight: 500, version: '1', setBy: 'operator:ada' });
  expect(() => limit(pool, { weight: 9 }, '7')).toThrow(/have version 1 .* not 7/);
  pool.submit('t1');
  const { limits, usage } = pool.run.query('getSwarmLimits', { swarm: 'a', minRevision: '0' });
  expect([limits?.weight, usage]).toEqual([500, { running: 0, queued: 1, leases: 0, requests: 0 }]);
});

test('priority ages: each point is worth a stated time of waiting', () => {
  const pool = new Pool();
  pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 1000, expectedVersion: '0' });
  pool.submit('old');
  pool.now += 5000;
  pool.submit('urgent', { priority: 4 });
  pool.submit('more', { priority: 6 });
  const before = ({ queue }: Pick<typeof pool.run.state, 'queue'>, id: string) =>
    queue.before(id).reduce((sum, { count }) => sum + count, 0);
  const order = () => ['old', 'urgent', 'more'].map((id) => before(pool.run.state, id));
  expect(order()).toEqual([1, 2, 0]);
  pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 60_000, expectedVersion: '0' });
  expect(order()).toEqual([2, 1, 0]);
  pool.register('x');
  expect(pool.where('more')).toBe('ASSIGNED on a/x');
  const restored = pool.run.restore();
  expect(before(restored, 'old')).toBe(1);
});

test('limits are set for swarms that are registered, or that had some before they left', () => {
  const pool = new Pool();
  expect(() => limit(pool, { swarm: 'nobody', maxRunning: 1 })).toThrow(
    'swarm "nobody" is not known; register it first: hivebus register-swarm nobody',
  );
  limit(pool, { maxRunning: 1 });
  const limits = { ...none, swarm: 'a', submitsPerSecond: 0, submitBurst: 0, version: '0', setBy: '' };
  const { swarms } = knownSwarms('docs');
  const given = (swarm: string) => ({ limits: { ...limits, swarm }, expectedVersion: '0' });
  const left = { principal: pool.operator, soft: { swarms } };
  expect(pool.run.execute('setSwarmLimits', given('a'), left).limits).toMatchObject({ version: '2', maxRunning: 0 });
  expect(() => pool.run.execute('setSwarmLimits', given('dosc'), left)).toThrow('did you mean docs?');
});
