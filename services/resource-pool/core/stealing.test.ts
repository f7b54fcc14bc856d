import { describe, expect, test } from 'vitest';
import type { LendingPolicy, SwarmLimits } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { checkOffers, Pool } from './fixtures.ts';
import { submitGroup } from './group-fixtures.ts';

const AFTER_MS = 5000;

/** A pool whose idle agents take what has waited for five seconds. */
function stealing(stealAfterMs = AFTER_MS): Pool {
  const pool = new Pool();
  steals(pool, stealAfterMs);
  return pool;
}

const steals = (pool: Pool, stealAfterMs: number) =>
  pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 0, expectedVersion: '0', stealAfterMs }, { now: pool.now });

const lends = (pool: Pool, change: Partial<LendingPolicy>) => {
  const all = { swarm: 'b', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
  const policy = { ...all, version: '0', setBy: '', ...change };
  pool.run.execute('setLendingPolicy', { policy, expectedVersion: '0' }, { now: pool.now });
};

const limits = (pool: Pool, change: Partial<SwarmLimits>) => {
  const none = { swarm: 'a', weight: 0, maxRunning: 0, maxQueued: 0, maxLeases: 0, maxRequests: 0 };
  const given = { ...none, submitsPerSecond: 0, submitBurst: 0, version: '0', setBy: '', ...change };
  pool.run.execute('setSwarmLimits', { limits: given, expectedVersion: '0' });
};

const explained = (pool: Pool, id: string) => pool.run.query('explain', { id, minRevision: '0' }, { now: pool.now });
const leases = (pool: Pool) => [...pool.run.state.leases.values()];

describe('a task that waits', () => {
  test('is taken by an idle agent of another swarm after the delay, and that goes home when it is done', () => {
    const pool = stealing();
    pool.register('x', { swarm: 'b' });
    pool.submit('t1');
    const { placement } = explained(pool, 't1');
    const at = new Date(pool.now + AFTER_MS).toISOString();
    expect(placement?.unblockers.find(({ kind }) => kind === 'steal')).toMatchObject({ at });
    pool.pass(AFTER_MS - 1);
    expect(pool.where('t1')).toBe('QUEUED');
    const from = pool.run.events.length;
    pool.pass(1);
    expect(pool.types(from)).toEqual(['task.offered', 'lease.granted', 'task.assigned']);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
    const [lease] = leases(pool);
    expect(lease).toMatchObject({ task: 't1', lender: 'b', borrower: 'a', state: 'LEASE_STATE_ACTIVE' });
    const told = explained(pool, 't1').history.map(({ text }) => text);
    expect(told).toContain('had waited long: idle agents of other swarms might take it from then on');
    expect(told).toContain(`attempt 1 given to b/x (borrowed, ${lease?.id}), which was idle and taken for it`);
    expect(explained(pool, lease?.id ?? '').history[0]?.text).toContain('for task t1, which had waited long');
    pool.confirm('t1');
    pool.report('t1');
    expect(leases(pool)[0]).toMatchObject({
      state: 'LEASE_STATE_RELEASED',
      reason: 'nothing is left to do for swarm a',
    });
    expect(pool.run.state.agents.get('b/x')).toMatchObject({ lease: '', serving: 'b' });
  });

  test('is taken although the agent that was found for it takes another task of its swarm first', () => {
    const pool = stealing();
    for (const name of ['x', 'y']) pool.register(name, { swarm: 'b' });
    pool.submit('later');
    pool.submit('first', { priority: 1 });
    pool.pass(AFTER_MS);
    expect([pool.where('first'), pool.where('later')]).toEqual(['ASSIGNED on b/x', 'ASSIGNED on b/y']);
    expect(new Set(leases(pool).map(({ id }) => id)).size).toBe(2);
  });

  test('is taken when an agent becomes idle later, after what its own swarm has to do', () => {
    const pool = stealing();
    pool.register('x', { swarm: 'b' });
    pool.submit('own-1', { swarm: 'b' });
    pool.submit('own-2', { swarm: 'b' });
    pool.submit('t1');
    pool.pass(AFTER_MS);
    pool.report('own-1');
    expect(pool.where('own-2')).toBe('ASSIGNED on b/x');
    expect(pool.where('t1')).toBe('QUEUED');
    pool.report('own-2');
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });

  test('brings an agent whose other slots work, too; more agents come only for what is left', () => {
    const pool = stealing();
    pool.register('x', { swarm: 'b', slots: 3 });
    pool.register('y', { swarm: 'b', slots: 3 });
    for (const id of ['t1', 't2', 't3']) pool.submit(id);
    pool.pass(AFTER_MS);
    expect(['t1', 't2', 't3'].map((id) => pool.where(id))).toEqual(Array(3).fill('ASSIGNED on b/x'));
    expect(leases(pool).length).toBe(1);
    pool.submit('t4');
    expect(pool.where('t4')).toBe('QUEUED');
    pool.report('t1');
    expect(pool.where('t4')).toBe('ASSIGNED on b/x');
  });

  test('whose agent got a more urgent one of its swarm is taken by another, under a lease of its own', () => {
    const pool = stealing();
    pool.register('x', { swarm: 'b' });
    pool.submit('t1');
    pool.submit('t2', { priority: 1 });
    pool.pass(AFTER_MS);
    expect(pool.where('t2')).toBe('ASSIGNED on b/x');
    pool.register('y', { swarm: 'b' });
    expect(pool.where('t1')).toBe('ASSIGNED on b/y');
    expect(new Set(leases(pool).map(({ id }) => id)).size).toBe(2);
  });

  test('is taken in the same decision in which another agent is lent to who asked for it', () => {
    const pool = stealing();
    pool.register('own', { type: 'test' });
    pool.register('x', { swarm: 'b' });
    const wish = {
      swarm: 'c',
      type: 'test',
      capabilities: [],
      termMs: 0,
      lender: '',
      waitMs: 60_000,
      priority: 0,
      id: '',
    };
    pool.submit('busy', { type: 'test', maxAttempts: 1 });
    pool.run.execute('requestAgent', wish, { now: pool.now });
    pool.submit('t1');
    pool.run.execute('cancelTask', { id: 'busy', reason: '' }, { now: pool.now });
    pool.pass(11_000);
    expect(leases(pool).map(({ agent }) => agent)).toEqual(['a/own', 'b/x']);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });

  test('is taken in the decision in which a lease ends, when its end lets another agent be lent', () => {
    const pool = stealing();
    lends(pool, { maxLent: 1 });
    pool.register('x', { swarm: 'b' });
    pool.register('y', { swarm: 'b' });
    pool.submit('t1', { timeoutMs: 8000, maxAttempts: 1 });
    pool.pass(AFTER_MS);
    pool.confirm('t1');
    pool.pass(4000);
    pool.submit('t2', { swarm: 'c' });
    const from = pool.run.events.length;
    pool.pass(AFTER_MS);
    expect(pool.types(from)).toEqual([
      ...['task.ended', 'task.offered', 'lease.ended', 'lease.granted', 'task.assigned'],
    ]);
    checkOffers(pool.run.state);
  });

  test('is given out under a lease that then drains, and does not end over it, when its agent is called home', () => {
    const pool = stealing(3000);
    lends(pool, { to: ['a'], maxLent: 2, keepPercent: 40, recallPriority: 2 });
    const labels = { 'hivebus-volumes': 'yes', 'hivebus-host': 'h' };
    pool.submit('t0');
    pool.register('n0', { swarm: 'b' });
    pool.submit('t1', { swarm: 'b', volumes: { names: ['w'] } });
    pool.pass(4000);
    pool.submit('g1');
    pool.submit('g2');
    pool.register('n1', { swarm: 'b', slots: 2, labels });
    pool.pass(11_000);
    checkOffers(pool.run.state);
    const agentOf = (task: string) => pool.task(task).attempts.at(-1);
    expect(leases(pool)[0]).toMatchObject({ id: agentOf('t0')?.lease, state: 'LEASE_STATE_DRAINING' });
  });

  test('is taken when its group goes on, which had paused after it was offered', () => {
    const pool = stealing();
    submitGroup(pool, 'g', [['one']]);
    pool.pass(AFTER_MS);
    const at = { now: pool.now };
    pool.run.execute('pauseGroup', { id: 'g', reason: '' }, at);
    pool.register('x', { swarm: 'b' });
    pool.run.execute('resumeGroup', { id: 'g' }, at);
    pool.pass(0);
    checkOffers(pool.run.state);
    expect(leases(pool)).toMatchObject([{ agent: 'b/x', state: 'LEASE_STATE_ACTIVE' }]);
  });

  test('waits its time anew for each attempt', () => {
    const pool = stealing();
    pool.register('x', { swarm: 'b' });
    pool.submit('t1');
    pool.pass(AFTER_MS);
    pool.confirm('t1');
    pool.report('t1', 'OUTCOME_FAILED');
    expect(pool.where('t1')).toBe('ASSIGNED on b/x'); // it serves the swarm as long as there is something to do
    pool.observe('b/x', 'UNREACHABLE');
    pool.observe('b/x', 'READY');
    expect(pool.where('t1')).toBe('QUEUED');
    pool.pass(AFTER_MS);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });

  test('is not taken without the policy, which is how it begins, nor after it was taken back', () => {
    const pool = stealing(0);
    pool.register('x', { swarm: 'b' });
    pool.submit('t1');
    pool.pass(600_000);
    expect(pool.where('t1')).toBe('QUEUED');
    lends(pool, { closed: true });
    steals(pool, 1000);
    pool.pass(1000);
    steals(pool, 0);
    lends(pool, { closed: false });
    expect(pool.where('t1')).toBe('QUEUED');
    steals(pool, 1000);
    pool.pass(1000);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });
});

describe('stealing keeps to what holds for lending', () => {
  test('closed, to others, the share that stays at home', () => {
    const pool = stealing();
    lends(pool, { to: ['c'] });
    lends(pool, { swarm: 'c', closed: true });
    lends(pool, { swarm: 'd', keepPercent: 60 });
    for (const swarm of ['b', 'c', 'd']) pool.register('x', { swarm });
    pool.submit('t1');
    pool.pass(AFTER_MS);
    expect(pool.where('t1')).toBe('QUEUED');
    lends(pool, { to: ['a'] });
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });

  test('the borrower’s limits, and whoever they held up is woken', () => {
    const pool = stealing();
    limits(pool, { maxRunning: 1 });
    pool.register('x', { swarm: 'b' });
    pool.register('y', { swarm: 'c' });
    pool.submit('t1');
    pool.submit('t2');
    pool.pass(AFTER_MS);
    const where = () => ['t1', 't2'].map((id) => pool.where(id).split(' ')[0]);
    expect(where()).toEqual(['ASSIGNED', 'QUEUED']);
    limits(pool, { maxRunning: 2 });
    expect(where()).toEqual(['ASSIGNED', 'ASSIGNED']);
  });

  test('whoever asked for an agent comes first', () => {
    const pool = stealing();
    pool.submit('t1');
    pool.pass(AFTER_MS);
    const asked = {
      swarm: 'd',
      type: 'lint',
      capabilities: [],
      termMs: 0,
      lender: '',
      waitMs: 60_000,
      priority: 0,
      id: '',
    };
    pool.run.execute('requestAgent', asked, { now: pool.now });
    pool.register('x', { swarm: 'b' });
    expect(pool.run.state.agents.get('b/x')?.serving).toBe('d');
    expect(pool.where('t1')).toBe('QUEUED');
  });

  test('a task of its own swarm that finds no agent calls it home, after what it runs', () => {
    const pool = stealing();
    pool.register('x', { swarm: 'b' });
    pool.submit('t1');
    pool.submit('t2');
    pool.pass(AFTER_MS);
    pool.submit('own', { swarm: 'b' });
    expect(leases(pool)[0]).toMatchObject({
      state: 'LEASE_STATE_DRAINING',
      reason: 'its swarm b needs it for task own',
    });
    pool.report('t1');
    expect(pool.where('own')).toBe('ASSIGNED on b/x');
    expect(pool.where('t2')).toBe('QUEUED');
  });

  test('of several swarms the one that had least is helped, whoever floods the queue', () => {
    const pool = stealing(1000);
    const done = { a: 0, c: 0, d: 0 };
    for (let i = 0; i < 400; i++) pool.submit(`a-${i}`, { swarm: 'a' });
    for (let i = 0; i < 40; i++) for (const swarm of ['c', 'd']) pool.submit(`${swarm}-${i}`, { swarm });
    pool.pass(1000);
    for (let i = 0; i < 4; i++) pool.register(`x${i}`, { swarm: 'b' });
    // An agent has one task and goes home by its term, so that each turn is a lease of the same length.
    for (let turn = 0; turn < 24; turn++) {
      for (const row of [...pool.run.state.tasks.values()]) {
        if (row.state !== 'TASK_STATE_ASSIGNED') continue;
        pool.confirm(row.id);
        done[row.spec.swarm as keyof typeof done]++;
      }
      pool.pass(60_000);
      for (const row of [...pool.run.state.tasks.values()]) {
        if (row.state === 'TASK_STATE_RUNNING') pool.report(row.id);
      }
    }
    const shares = Object.values(done);
    const sum = shares.reduce((a, b) => a + b, 0);
    const jain = sum ** 2 / (shares.length * shares.reduce((a, b) => a + b * b, 0));
    expect(sum).toBeGreaterThan(60);
    expect(jain, JSON.stringify(done)).toBeGreaterThan(0.98);
  });
});
