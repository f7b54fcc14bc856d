import { describe, expect, test } from 'vitest';
import { retryDelay } from './backoff.ts';
import { Pool, spec } from './fixtures.ts';
import type { AttemptRow } from './rows.ts';

const retry = { backoffMs: 1000, maxBackoffMs: 0 };
const failed = (times: number) => Array.from({ length: times }, () => ({ outcome: 'OUTCOME_FAILED' }) as AttemptRow);
const delay = (id: string, failures: number, change = {}) =>
  retryDelay({ id, spec: spec({ retry: { ...retry, ...change } }), attempts: failed(failures) }, 'OUTCOME_FAILED');

describe('the wait before another attempt', () => {
  test('doubles, is shortened by at most a half, and has an upper bound', () => {
    for (let failures = 1; failures <= 12; failures++) {
      const whole = 1000 * Math.min(2 ** (failures - 1), 64);
      expect(delay('t1', failures)).toBeGreaterThan(whole / 2 - 1);
      expect(delay('t1', failures)).toBeLessThanOrEqual(whole);
    }
    expect(delay('t1', 100, { maxBackoffMs: 5000 })).toBeLessThanOrEqual(5000);
  });

  test('differs from task to task and is always the same for one', () => {
    const delays = Array.from({ length: 100 }, (_, i) => delay(`t${i}`, 1));
    expect(new Set(delays).size).toBeGreaterThan(80);
    expect(Math.min(...delays)).toBeLessThan(600);
    expect(Math.max(...delays)).toBeGreaterThan(900);
    expect(delay('t7', 3)).toBe(delay('t7', 3));
  });

  test('is spent by no agent, told, and over in its time', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { retry });
    pool.submit('t2');
    pool.report('t1', 'OUTCOME_FAILED');
    expect([pool.where('t1'), pool.where('t2')]).toEqual(['QUEUED', 'ASSIGNED on a/x']);
    expect(pool.task('t1').waitingFor).toMatch(/^its next attempt, not before 20/);
    pool.report('t2');
    expect(pool.where('t1')).toBe('QUEUED');
    const { summary, placement } = pool.run.query('explain', { id: 't1', minRevision: '0' }, { now: pool.now });
    expect([summary, placement]).toEqual([expect.stringMatching(/^is tried again in .*, after 1 of 3/), undefined]);
    expect(pool.run.restore().queue.size).toBe(0);
    pool.pass(1000);
    expect(pool.types().slice(-2)).toEqual(['task.ready', 'task.assigned']);
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
  });

  test('is not made by what was lost, and ends with a cancel', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { retry });
    pool.report('t1', 'OUTCOME_LOST');
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
    pool.report('t1', 'OUTCOME_FAILED');
    pool.run.execute('cancelTask', { id: 't1', reason: '' });
    pool.pass(10_000);
    expect(pool.where('t1')).toBe('CANCELLED');
  });
});

describe('a time limit', () => {
  test('of waiting begins anew each time that it waits for an agent', () => {
    const pool = new Pool();
    pool.register('x');
    const limits = { queuedMs: 5000, totalMs: 0 };
    pool.submit('t1', { limits, retry: { backoffMs: 8000, maxBackoffMs: 0 } });
    pool.pass(6000);
    pool.report('t1', 'OUTCOME_FAILED');
    pool.observe('a/x', 'SUSPECT');
    pool.pass(8000);
    expect(pool.where('t1')).toBe('QUEUED');
    pool.pass(5000);
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_FAILED', reason: 'waited longer than 5s for an agent' });
  });

  test('of the whole ends it wherever it is, and its agent is told', () => {
    const pool = new Pool();
    const limits = { queuedMs: 0, totalMs: 5000 };
    pool.submit('waits', { limits, type: 'test' });
    pool.register('x');
    pool.submit('runs', { limits });
    pool.submit('next');
    pool.confirm('runs');
    pool.pass(5000);
    const reason = 'over its time limit of 5s from its submission to its end';
    for (const id of ['waits', 'runs']) expect(pool.task(id)).toMatchObject({ state: 'TASK_STATE_FAILED', reason });
    expect(pool.run.state.deliveries.has('runs.1.stop')).toBe(true);
    expect(pool.where('next')).toBe('ASSIGNED on a/x');
  });
});
