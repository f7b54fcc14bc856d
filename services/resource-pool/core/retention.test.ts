import { expect, test } from 'vitest';
import { Pool, wanted } from './fixtures.ts';

test('the newest ended tasks are kept, the rest leaves in batches', () => {
  const pool = new Pool({ keepTasks: 10, retentionBatch: 5 });
  pool.register('x');
  for (let i = 0; i < 14; i++) {
    pool.submit(`t${i}`);
    pool.report(`t${i}`);
  }
  pool.pass(1);
  expect(pool.run.state.tasks.size).toBe(14);
  pool.submit('last');
  pool.report('last');
  pool.pass(1);
  expect([...pool.run.state.tasks.keys()]).toEqual([...Array.from({ length: 9 }, (_, i) => `t${i + 5}`), 'last']);
  expect(() => pool.task('t0')).toThrow(/it ended long ago and is no longer kept/);
});

test('nothing ended is kept longer than the stated time; what waits is never forgotten', () => {
  const pool = new Pool({ keepMs: 60_000 });
  pool.register('x', { swarm: 'b' });
  const lease = pool.run.execute('requestAgent', wanted()).lease?.id ?? '';
  pool.submit('done');
  pool.report('done');
  pool.submit('waits', { type: 'nobody' });
  pool.run.execute('releaseLease', { lease });
  pool.pass(59_999);
  expect([pool.run.state.tasks.size, pool.run.state.leases.size]).toEqual([2, 1]);
  pool.pass(1);
  expect([[...pool.run.state.tasks.keys()], pool.run.state.leases.size]).toEqual([['waits'], 0]);
});

test('the queue has a bound', () => {
  const pool = new Pool({ maxQueued: 2 });
  pool.submit('t1');
  pool.submit('t2');
  expect(() => pool.submit('t3')).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', retryable: true }));
});
