import { expect, test } from 'vitest';
import { Pool, spec } from './fixtures.ts';

const submit = (pool: Pool, more: object) =>
  pool.run.execute('submitTask', { id: 't', spec: spec({ title: 'one' }), ...more });

test('an idempotent submission of the same spec is the task that is there, whatever became of it', () => {
  const pool = new Pool();
  pool.register('x');
  expect(submit(pool, { idempotent: true })).toMatchObject({ created: true, task: { id: 't' } });
  pool.confirm('t');
  pool.report('t');
  const before = pool.run.events.length;
  expect(submit(pool, { idempotent: true })).toMatchObject({ created: false, task: { state: 'TASK_STATE_SUCCEEDED' } });
  expect(pool.run.events).toHaveLength(before);
  expect(() => submit(pool, { idempotent: true, spec: spec({ title: 'two' }) })).toThrow('cannot be changed');
  expect(() => submit(pool, {})).toThrow('exists already; choose another id');
});

test('a dry run says which agent would have it, and submits nothing', () => {
  const pool = new Pool();
  expect(submit(pool, { dryRun: true })).toMatchObject({ created: true, agent: '', task: { id: 't' } });
  pool.register('x');
  const before = pool.run.events.length;
  expect(submit(pool, { dryRun: true })).toMatchObject({ created: true, agent: 'a/x' });
  expect(pool.run.events).toHaveLength(before);
  expect(pool.run.state.tasks.size).toBe(0);
  const unknown = () => submit(pool, { dryRun: true, spec: spec({ swarm: 'nobody' }) });
  expect(unknown).toThrow('swarm "nobody" is not known');
});
