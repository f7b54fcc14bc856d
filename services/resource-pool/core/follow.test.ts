import { describe, expect, test } from 'vitest';
import type { LendingPolicy, Migration } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agent, Pool, type spec } from './fixtures.ts';

/** Tasks whose agent moves to another swarm, when their own swarm has no other agent free. */

const RESUME = { resume: true, claim: false };

const migrate = (pool: Pool, graceMs: number, to = 'b'): Migration => {
  const input = { swarm: 'a', name: 'x', to, newName: '', graceMs, reason: '' };
  return pool.run.execute('migrateAgent', input, { now: pool.now }).migration as Migration;
};
const arrive = (pool: Pool, migration: string, swarm = 'b') =>
  pool.run.execute('registerAgent', { ...agent('x', { swarm }), migration }, { now: pool.now });
const lends = (pool: Pool, change: Partial<LendingPolicy>) => {
  const all = { swarm: 'b', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
  const policy = { ...all, version: '0', setBy: '', ...change };
  pool.run.execute('setLendingPolicy', { policy, expectedVersion: '0' }, { now: pool.now });
};
const explained = (pool: Pool, id: string) => pool.run.query('explain', { id, minRevision: '0' }, { now: pool.now });
const leases = (pool: Pool) => [...pool.run.state.leases.values()];
/** A task that runs on `a/x` and has a checkpoint. */
function running(change: Parameters<typeof spec>[0] = {}): Pool {
  const pool = new Pool();
  pool.register('x');
  pool.submit('t1', { continuity: RESUME, maxAttempts: 1, ...change });
  pool.confirm('t1');
  pool.run.execute('saveCheckpoint', { task: 't1', attempt: 1, instance: 'i1', data: { step: 3 } });
  return pool;
}

describe('a task whose agent moves', () => {
  test('goes on at the deadline from its checkpoint, on the agent that moved, by a lease that ends with it', () => {
    const pool = running();
    const { id } = migrate(pool, 5000);
    pool.pass(4999);
    expect(pool.where('t1')).toBe('RUNNING on a/x');
    pool.pass(1);
    expect(pool.where('t1')).toBe('QUEUED');
    expect(pool.task('t1').attempts[0]).toMatchObject({ outcome: 'OUTCOME_MOVED' });
    const from = pool.run.events.length;
    arrive(pool, id);
    expect(pool.types(from)).toEqual(['agent.migrated', 'lease.granted', 'task.assigned']);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
    expect(pool.confirm('t1').checkpoint).toBe(1);
    const [lease] = leases(pool);
    expect(lease).toMatchObject({ lender: 'b', borrower: 'a', task: 't1', choice: { candidates: 1 } });
    expect(explained(pool, lease?.id ?? '').history[0]?.text).toBe(
      'b/x lent by b to a, for task t1, whose agent moves to swarm b, and the agent was idle',
    );
    pool.report('t1');
    expect(leases(pool)[0]).toMatchObject({ state: 'LEASE_STATE_RELEASED' });
    expect(pool.run.state.agents.get('b/x')).toMatchObject({ lease: '', serving: 'b' });
  });

  test('finishes first, when it is done within the grace time', () => {
    const pool = running();
    const { id } = migrate(pool, 5000);
    pool.report('t1');
    arrive(pool, id);
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_SUCCEEDED', attempts: [{ agent: 'a/x' }] });
    expect(leases(pool)).toEqual([]);
  });

  test('goes to an agent of its own swarm before any other', () => {
    const pool = running();
    pool.register('y', { swarm: 'b' });
    pool.register('z');
    migrate(pool, 1000);
    pool.pass(1000);
    expect(pool.where('t1')).toBe('ASSIGNED on a/z');
    expect(leases(pool)).toEqual([]);
  });

  test('may be taken by any idle agent of the swarm that gets its agent, and by none of others', () => {
    const pool = running();
    pool.register('z', { swarm: 'c' });
    migrate(pool, 1000);
    pool.pass(1000);
    expect(pool.where('t1')).toBe('QUEUED');
    pool.register('y', { swarm: 'b' });
    expect(pool.where('t1')).toBe('ASSIGNED on b/y');
  });

  test('says what it waits for, and which policy keeps it there; an opened one lets it go on', () => {
    const pool = running();
    lends(pool, { closed: true });
    const { id } = migrate(pool, 1000);
    pool.pass(1000);
    const moving = 'or an idle agent of type lint of swarm b, to which its agent a/x moves';
    expect(pool.task('t1').waitingFor).toContain(moving);
    const told = explained(pool, 't1');
    expect(told.placement?.unblockers.find(({ kind }) => kind === 'follow')).toMatchObject({ swarm: 'b' });
    expect(told.history.map(({ text }) => text)).toContain(
      'its agent was to move there: idle agents of swarm b might take it from then on',
    );
    arrive(pool, id);
    expect(pool.where('t1')).toBe('QUEUED');
    expect(pool.task('t1').waitingFor).toContain('to which its agent a/x has moved');
    expect(explained(pool, 't1').placement?.unblockers.find(({ kind }) => kind === 'open')).toMatchObject({
      swarm: 'b',
      agents: 1,
    });
    lends(pool, { closed: false });
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });

  test('goes on at home when the migration comes to nothing', () => {
    const pool = running();
    const { id } = migrate(pool, 1000);
    pool.pass(1000);
    pool.run.execute('cancelMigration', { id, reason: '' });
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
  });

  test('was not begun, or is lost with its agent: it follows, too', () => {
    for (const isLost of [false, true]) {
      const pool = new Pool();
      pool.register('x');
      pool.submit('t1');
      if (isLost) pool.confirm('t1');
      const { id } = migrate(pool, 60_000);
      if (isLost) pool.observe('a/x', 'UNREACHABLE');
      expect(pool.where('t1')).toBe('QUEUED');
      arrive(pool, id);
      expect(pool.where('t1')).toBe('ASSIGNED on b/x');
    }
  });

  test('waits for the end of its claim before it may be taken', () => {
    const pool = running({ continuity: { resume: true, claim: true } });
    const { id } = migrate(pool, 0);
    pool.pass(0);
    arrive(pool, id);
    expect(pool.where('t1')).toBe('QUEUED');
    expect(pool.task('t1').waitingFor).toContain('the end of the claim');
    pool.pass(15_000);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });

  test('is the other swarm’s own: it needs no lease there', () => {
    const pool = new Pool();
    pool.register('x');
    const wish = {
      swarm: 'b',
      type: 'lint',
      capabilities: [],
      termMs: 60_000,
      lender: '',
      waitMs: 0,
      priority: 0,
      id: '',
    };
    pool.run.execute('requestAgent', wish);
    pool.submit('t1', { swarm: 'b' });
    pool.confirm('t1');
    const { id } = migrate(pool, 0);
    pool.pass(0);
    arrive(pool, id);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
    expect(leases(pool)).toHaveLength(1);
  });

  test('keeps that right while the policy of stealing changes', () => {
    const pool = running();
    const steals = (stealAfterMs: number) =>
      pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 0, expectedVersion: '0', stealAfterMs });
    const { id } = migrate(pool, 0);
    pool.pass(0);
    steals(5000);
    steals(0);
    arrive(pool, id);
    expect(pool.where('t1')).toBe('ASSIGNED on b/x');
  });
});
