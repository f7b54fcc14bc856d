import { describe, expect, test } from 'vitest';
import { Pool } from './fixtures.ts';

const CLAIMED = { continuity: { resume: false, claim: true }, maxAttempts: 5 };
const TERM = 15_000;

/** Confirmed by a/x, and a/y is free. */
function held(): Pool {
  const pool = new Pool();
  pool.register('x', { priority: 10 });
  pool.submit('t1', CLAIMED);
  pool.register('y');
  expect(pool.confirm('t1')).toMatchObject({ cancel: false, claimMs: TERM });
  return pool;
}

describe('the next attempt waits until the claim of the last one is over', () => {
  test.each([
    ['its agent is unreachable', (pool: Pool) => pool.observe('a/x', 'UNREACHABLE')],
    ['its agent was started anew', (pool: Pool) => pool.register('x', { instance: 'i2' })],
    ['its agent is deregistered', (pool: Pool) => deregister(pool)],
  ])('%s', (_, lose) => {
    const pool = held();
    lose(pool);
    expect(pool.where('t1')).toBe('QUEUED');
    expect(pool.task('t1').waitingFor).toMatch(/^the end of the claim that a\/x has on it, not before /);
    pool.pass(TERM - 1);
    expect(pool.where('t1')).toBe('QUEUED');
    pool.pass(1);
    expect(pool.where('t1')).toBe('ASSIGNED on a/y');
  });

  test('also when the pool ends it at its time limit, and after its backoff when that is longer', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { ...CLAIMED, timeoutMs: 1000, retry: { backoffMs: 60_000, maxBackoffMs: 60_000 } });
    pool.confirm('t1');
    pool.pass(2000);
    expect(pool.where('t1')).toBe('QUEUED');
    pool.pass(29_999);
    expect(pool.where('t1')).toBe('QUEUED');
    pool.pass(30_001);
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
  });

  test('counted from the epoch of a new leader, whose clock is another', () => {
    const pool = held();
    pool.observe('a/x', 'UNREACHABLE');
    const ahead = pool.now + 60_000;
    pool.run.query('tasksById', { ids: [], swarm: '', states: [] }, { epochStart: ahead });
    expect(pool.run.nextDue()).toBe(ahead + TERM);
  });
});

test('a renewal is granted while the attempt is current, and changes nothing', () => {
  const pool = held();
  const before = pool.run.events.length;
  expect(pool.confirm('t1')).toMatchObject({ cancel: false, claimMs: TERM });
  expect(pool.run.events.length).toBe(before);
  pool.run.execute('cancelTask', { id: 't1', reason: '' });
  expect(pool.confirm('t1').cancel).toBe(true);
  pool.report('t1', 'OUTCOME_CANCELLED');
  expect(() => pool.confirm('t1')).toThrow(expect.objectContaining({ code: 'ABORTED' }));
});

test('nobody waits when the agent says itself that it has ended, nor when it never began', () => {
  const pool = held();
  pool.report('t1', 'OUTCOME_FAILED');
  expect(pool.where('t1')).toBe('ASSIGNED on a/y');
  pool.observe('a/y', 'UNREACHABLE');
  expect(pool.where('t1')).toBe('ASSIGNED on a/x');
});

test('a task without a claim has none, and its next attempt follows at once', () => {
  const pool = new Pool();
  pool.register('x');
  pool.register('y');
  pool.submit('t1');
  expect(pool.confirm('t1')).toMatchObject({ claimMs: 0 });
  pool.observe('a/x', 'UNREACHABLE');
  expect(pool.where('t1')).toBe('ASSIGNED on a/y');
});

const deregister = (pool: Pool) =>
  pool.run.execute('deregisterAgent', { swarm: 'a', name: 'x', instance: '' }, { now: pool.now });
