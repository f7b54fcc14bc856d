import { describe, expect, test } from 'vitest';
import type { LendingPolicy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, queen, shell, wanted } from './fixtures.ts';

/** What swarm b lends. */
const lend = (pool: Pool, change: Partial<LendingPolicy>, expectedVersion = '0', principal = queen('b')) => {
  const all = {
    closed: false,
    to: [],
    maxLent: 0,
    keepPercent: 0,
    recallPriority: 0,
    noticeMs: 0,
    version: '0',
    setBy: '',
  };
  const policy = { ...all, swarm: 'b', ...change };
  return pool.run.execute('setLendingPolicy', { policy, expectedVersion }, { principal, now: pool.now }).policy;
};
const ask = (pool: Pool, change = {}) => pool.run.execute('requestAgent', wanted(change), { now: pool.now });
const leaseOf = (pool: Pool, id = '') => pool.run.state.leases.get(id)?.state.slice('LEASE_STATE_'.length);
const crew = (pool: Pool, count: number) => {
  for (let i = 1; i <= count; i++) pool.register(`n${i}`, { swarm: 'b' });
};
const none = expect.objectContaining({ reason: 'NO_AGENT_FREE' });

describe('a swarm that says', () => {
  test('nothing lends to any; closed lends to none; to whom lends to those', () => {
    const pool = new Pool();
    crew(pool, 3);
    expect(ask(pool).lease?.lender).toBe('b');
    lend(pool, { closed: true });
    expect(() => ask(pool)).toThrow(/2 kept by their swarm/);
    lend(pool, { to: ['c'] });
    expect(() => ask(pool)).toThrow(none);
    expect(ask(pool, { swarm: 'c' }).lease?.lender).toBe('b');
    const wish = wanted({ swarm: 'a' });
    const { placement } = pool.run.query('explain', { id: '', wish, minRevision: '0' });
    expect(placement?.conditions.find(({ name }) => name === 'lending')).toMatchObject({ ruledOut: 1, left: 0 });
  });

  test('how many lends no more, of whatever type', () => {
    const pool = new Pool();
    lend(pool, { maxLent: 1 });
    crew(pool, 2);
    pool.register('other', { swarm: 'b', type: 'test' });
    ask(pool);
    expect(() => ask(pool, { type: 'test' })).toThrow(none);
  });

  test('which share it keeps has that many at home, those that cannot be reached not counted', () => {
    const pool = new Pool();
    lend(pool, { keepPercent: 50 });
    crew(pool, 5);
    ask(pool);
    ask(pool);
    expect(() => ask(pool)).toThrow(none);
    pool.register('n6', { swarm: 'b' });
    ask(pool);
    pool.run.execute('deregisterAgent', { swarm: 'b', name: 'n6', instance: '' });
    expect(() => ask(pool)).toThrow(none);
  });

  test('that it lends more than before serves those who wait', () => {
    const pool = new Pool();
    lend(pool, { maxLent: 1 });
    crew(pool, 3);
    pool.register('able', { swarm: 'b', capabilities: ['ts'] });
    const { lease } = ask(pool);
    const picky = ask(pool, { waitMs: 60_000, capabilities: ['ts'], swarm: 'c' }).request;
    const next = ask(pool, { waitMs: 60_000 }).request;
    pool.run.execute('releaseLease', { lease: lease?.id ?? '' });
    expect([...pool.run.state.requests.keys()]).toHaveLength(1);
    lend(pool, { maxLent: 2 });
    expect(pool.run.state.requests.size).toBe(0);
    const agents = [picky, next].map((id) => pool.run.state.leases.get(id.replace('request', 'lease'))?.agent);
    expect(agents[0]).toBe('b/able');
  });
});

describe('an agent is taken back', () => {
  const borrowed = (pool: Pool): string => {
    pool.register('x', { swarm: 'b', slots: 2 });
    const { lease } = ask(pool);
    pool.submit('t1', { maxAttempts: 1 });
    pool.confirm('t1');
    return lease?.id ?? '';
  };
  const revoke = (pool: Pool, lease: string, noticeMs: number, principal = queen('b')) =>
    pool.run.execute('revokeLease', { lease, noticeMs, reason: 'needed' }, { principal, now: pool.now });

  test('by its swarm: what runs may end within the notice', () => {
    const pool = new Pool();
    const lease = borrowed(pool);
    expect(() => revoke(pool, lease, 5000, queen('a'))).toThrow(/only swarm "b"/);
    expect(revoke(pool, lease, 5000).lease).toMatchObject({ state: 'LEASE_STATE_DRAINING' });
    pool.submit('t2');
    expect(pool.where('t2')).toBe('QUEUED');
    pool.pass(4999);
    pool.report('t1');
    expect([pool.where('t1'), leaseOf(pool, lease)]).toEqual(['SUCCEEDED', 'REVOKED']);
    expect(() => revoke(pool, lease, 0)).toThrow(/ended at .* \(taken back by swarm b: needed\)/);
  });

  test('and what has not ended then moves, without using up an attempt, and the agent is told to stop', () => {
    const pool = new Pool();
    const lease = borrowed(pool);
    revoke(pool, lease, 5000);
    pool.pass(5000);
    expect([pool.where('t1'), leaseOf(pool, lease)]).toEqual(['QUEUED', 'REVOKED']);
    expect(pool.task('t1').attempts[0]).toMatchObject({
      outcome: 'OUTCOME_MOVED',
      reason: expect.stringMatching(/^the agent goes back to swarm b/),
    });
    expect(pool.run.state.deliveries.has('t1.1.stop')).toBe(true);
    expect(() => pool.report('t1')).toThrow(expect.objectContaining({ code: 'ABORTED' }));
    pool.register('own');
    pool.report('t1');
    expect(pool.where('t1')).toBe('SUCCEEDED');
    expect(pool.run.state.measures.has('b/x')).toBe(false);
  });

  test('at once where the notice is none; a lease that drains at its leisure is hurried', () => {
    const pool = new Pool();
    const lease = borrowed(pool);
    pool.run.execute('releaseLease', { lease }, { principal: queen('a'), now: pool.now });
    expect(pool.run.nextDue()).not.toBe(pool.now);
    revoke(pool, lease, 0);
    pool.pass(0);
    expect([pool.where('t1'), leaseOf(pool, lease)]).toEqual(['QUEUED', 'REVOKED']);
  });

  test('for a task of its home that is urgent enough and finds no other, and then runs it', () => {
    const pool = new Pool();
    lend(pool, { recallPriority: 5, noticeMs: 3000 });
    const lease = borrowed(pool);
    pool.submit('later', { swarm: 'b', priority: 4 });
    expect(leaseOf(pool, lease)).toBe('ACTIVE');
    pool.submit('urgent', { swarm: 'b', priority: 5 });
    expect([leaseOf(pool, lease), pool.where('urgent')]).toEqual(['DRAINING', 'QUEUED']);
    pool.pass(3000);
    expect([leaseOf(pool, lease), pool.where('urgent'), pool.where('t1')]).toEqual([
      'REVOKED',
      'ASSIGNED on b/x',
      'QUEUED',
    ]);
  });

  test('at once when it is idle, of two the one with less to do, and only for what it can do', () => {
    const pool = new Pool();
    lend(pool, { recallPriority: 1, noticeMs: 3000 });
    const busy = borrowed(pool);
    pool.register('y', { swarm: 'b', capabilities: ['ts'] });
    const idle = ask(pool).lease?.id;
    pool.submit('hard', { swarm: 'b', priority: 9, capabilities: ['js'] });
    expect([leaseOf(pool, busy), leaseOf(pool, idle)]).toEqual(['ACTIVE', 'ACTIVE']);
    pool.submit('urgent', { swarm: 'b', priority: 1 });
    expect([leaseOf(pool, busy), leaseOf(pool, idle), pool.where('urgent')]).toEqual([
      'ACTIVE',
      'REVOKED',
      'ASSIGNED on b/y',
    ]);
  });
});

test("a policy is its swarm's to set, versioned, and goes with its registration", () => {
  const pool = new Pool();
  expect(() => lend(pool, {}, '0', queen('a'))).toThrow(/only swarm "b"/);
  expect(lend(pool, { maxLent: 3 })).toMatchObject({ version: '1', setBy: 'swarm:b', maxLent: 3 });
  expect(() => lend(pool, {}, '9')).toThrow(/has version 1 .* not 9/);
  const shown = () => pool.run.query('getLendingPolicy', { swarm: 'b', minRevision: '0' });
  expect(shown()).toMatchObject({ policy: { maxLent: 3 }, lent: 0 });
  const registrations = [pool.run.state.lending.get('b')?.registration ?? ''];
  pool.run.execute('retireSwarm', { swarm: 'b', registrations }, { principal: shell });
  expect(shown()).toMatchObject({ policy: { maxLent: 0, version: '0' } });
});
