import { expect, test } from 'vitest';
import { agentPrincipal, Pool, queen } from './fixtures.ts';

const RESUMES = { continuity: { resume: true, claim: false } };
const AGENT = agentPrincipal('a', 'x');

function save(pool: Pool, id: string, data: unknown, change: { attempt?: number; instance?: string } = {}) {
  const { number = 0, instance = '' } = pool.task(id).attempts.at(-1) ?? {};
  const said = { task: id, attempt: number, instance, data, ...change };
  return pool.run.execute('saveCheckpoint', said, { principal: AGENT, now: pool.now });
}

const last = (pool: Pool, id: string) => pool.run.query('getCheckpoint', { task: id, minRevision: '0' }).checkpoint;
const refused = (code: string, reason?: string) => expect.objectContaining(reason ? { code, reason } : { code });

/** Started on a/x. */
function started(spec: object = RESUMES): Pool {
  const pool = new Pool();
  pool.register('x');
  pool.submit('t1', spec);
  pool.confirm('t1', AGENT);
  return pool;
}

test('the last checkpoint is kept for the next attempt, which is told that there is one', () => {
  const pool = started();
  expect(save(pool, 't1', { done: 1 }).number).toBe(1);
  expect(save(pool, 't1', { done: 'zwölf' }).number).toBe(2);
  pool.observe('a/x', 'UNREACHABLE');
  pool.register('y');
  expect(pool.where('t1')).toBe('ASSIGNED on a/y');
  expect(pool.confirm('t1')).toMatchObject({ checkpoint: 2 });
  expect(last(pool, 't1')).toMatchObject({ number: 2, attempt: 1, data: { done: 'zwölf' }, bytes: 17 });
  expect(pool.task('t1').checkpoint).toEqual({ ...last(pool, 't1'), data: undefined });
});

test('it leaves with the end of its task, and makes room', () => {
  const pool = started();
  save(pool, 't1', 'x'.repeat(100));
  expect(pool.run.state.checkpointBytes.value).toBe(102);
  expect(pool.run.restore().checkpointBytes.value).toBe(102);
  pool.report('t1');
  expect(last(pool, 't1')).toBeUndefined();
  expect(pool.task('t1').checkpoint).toBeUndefined();
  expect(pool.run.state.checkpointBytes.value).toBe(0);
});

test('what is not the current attempt sets nothing back', () => {
  const pool = started();
  save(pool, 't1', 1);
  pool.observe('a/x', 'UNREACHABLE');
  pool.observe('a/x', 'READY');
  pool.confirm('t1');
  save(pool, 't1', 2);
  const stale = refused('ABORTED', 'STALE_ATTEMPT');
  expect(() => save(pool, 't1', 1, { attempt: 1 })).toThrow(stale);
  expect(() => save(pool, 't1', 1, { attempt: 3 })).toThrow(stale);
  expect(() => save(pool, 't1', 1, { instance: 'i9' })).toThrow(stale);
  pool.report('t1');
  expect(() => save(pool, 't1', 3)).toThrow(stale);
  expect(() => save(pool, 't2', 1)).toThrow();
});

test('an attempt that was not confirmed has not come anywhere; a task that does not resume keeps none', () => {
  const pool = started({});
  expect(() => save(pool, 't1', 1)).toThrow(refused('FAILED_PRECONDITION', 'NO_RESUME'));
  pool.register('x2');
  pool.submit('t2', RESUMES);
  const [attempt] = pool.task('t2').attempts;
  const said = { task: 't2', attempt: 1, instance: attempt?.instance ?? '', data: 1 };
  expect(() => pool.run.execute('saveCheckpoint', said)).toThrow(refused('ABORTED', 'STALE_ATTEMPT'));
});

test('a stranger stores none', () => {
  const pool = started();
  const said = { task: 't1', attempt: 1, instance: 'i1', data: 1 };
  const save = () => pool.run.execute('saveCheckpoint', said, { principal: queen('b') });
  expect(save).toThrow(refused('PERMISSION_DENIED'));
});

test('all together are bounded', () => {
  const pool = new Pool({ maxCheckpointBytes: 100 });
  pool.register('x', { slots: 2 });
  for (const id of ['t1', 't2']) {
    pool.submit(id, RESUMES);
    pool.confirm(id);
  }
  save(pool, 't1', 'x'.repeat(60));
  expect(() => save(pool, 't2', 'x'.repeat(60))).toThrow(
    expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'CHECKPOINTS_FULL', retryable: true }),
  );
  save(pool, 't1', 'x'.repeat(98));
  pool.report('t1');
  save(pool, 't2', 'x'.repeat(60));
});
