import { expect, test } from 'vitest';
import { Pool, queen, shell } from './fixtures.ts';

const list = (pool: Pool, swarm = '') =>
  pool.run.query('listDeadLetters', { swarm, pageSize: 0, pageToken: '', minRevision: '0' });
const get = (pool: Pool, task: string) => pool.run.query('getDeadLetter', { task, minRevision: '0' }).letter;
const replay = (pool: Pool, task: string, id = '') =>
  pool.run.execute('replayTask', { task, id }, { principal: queen('a'), now: pool.now });

/** A task that fails for good. */
function fail(pool: Pool, id: string, payload: unknown = 1): void {
  pool.submit(id, { payload });
  pool.report(id, 'OUTCOME_TERMINAL');
}

test('a task that has failed, whatever failed it, is a dead letter and owed to the stream; no other is', () => {
  const pool = new Pool();
  pool.register('x');
  fail(pool, 'bad');
  pool.submit('poison', { maxAttempts: 2 });
  pool.report('poison', 'OUTCOME_FAILED');
  expect(list(pool).total).toBe(1);
  pool.report('poison', 'OUTCOME_FAILED');
  pool.submit('good');
  pool.report('good');
  pool.submit('late', { type: 'nobody', limits: { queuedMs: 1000, totalMs: 0 } });
  pool.submit('off', { type: 'nobody' });
  pool.run.execute('cancelTask', { id: 'off', reason: '' });
  pool.pass(1000);
  expect(list(pool).letters.map(({ task }) => [task?.id, task?.attempts.length])).toEqual([
    ['bad', 1],
    ['poison', 2],
    ['late', 0],
  ]);
  expect(list(pool, 'b').total).toBe(0);
  expect([...pool.run.state.deliveries.keys()]).toEqual(['bad.bury', 'poison.bury', 'late.bury']);
  pool.run.execute('settleDelivery', { effect: 'bad.bury' }, { principal: shell });
  expect(pool.run.state.deliveries.has('bad.bury')).toBe(false);
});

test('a replay is a new task of the same spec that refers to the old one, which says what it was replayed as', () => {
  const pool = new Pool();
  pool.register('x');
  fail(pool, 'bad', { file: 'a' });
  expect(replay(pool, 'bad', 'again').task).toMatchObject({
    ...{ id: 'again', state: 'TASK_STATE_ASSIGNED', spec: { payload: { file: 'a' } } },
    origin: { parent: '', replayOf: 'bad' },
  });
  const from = pool.run.events.length;
  expect(replay(pool, 'bad', 'again').task?.id).toBe('again');
  expect(pool.types(from)).toEqual([]);
  pool.submit('other');
  expect(() => replay(pool, 'bad', 'other')).toThrow(expect.objectContaining({ code: 'ALREADY_EXISTS' }));
  const second = replay(pool, 'bad').task?.id;
  expect(get(pool, 'bad')?.replays).toEqual(['again', second]);
  expect(() => replay(pool, 'again')).toThrow('the task is TASK_STATE_ASSIGNED');
  expect(() => replay(pool, 'never')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
});

test('a replay is not made twice under one id, also when it is no longer kept', () => {
  const pool = new Pool({ keepTasks: 0, retentionBatch: 1, keepMs: 1000 });
  pool.register('x');
  fail(pool, 'bad');
  replay(pool, 'bad', 'again');
  pool.confirm('again');
  pool.report('again');
  pool.pass(5000);
  expect(() => replay(pool, 'bad', 'again')).toThrow(/was replayed as "again", which ended long ago/);
});

test('only its swarm and operators replay it', () => {
  const pool = new Pool();
  pool.register('x');
  fail(pool, 'bad');
  const stranger = () => pool.run.execute('replayTask', { task: 'bad', id: '' }, { principal: queen('b') });
  expect(stranger).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
});

test('it outlives its task, and gives way by number, size and age', () => {
  const pool = new Pool({
    keepTasks: 0,
    retentionBatch: 1,
    keepMs: 1000,
    keepDeadLetters: 3,
    maxDeadBytes: 2000,
    keepDeadMs: 60_000,
  });
  pool.register('x');
  fail(pool, 't1');
  pool.pass(5000);
  expect(pool.run.state.tasks.size).toBe(0);
  expect(get(pool, 't1')?.task?.reason).toBe('said so');
  for (const id of ['t2', 't3', 't4']) fail(pool, id);
  const ids = () => list(pool).letters.map(({ task }) => task?.id);
  expect(ids()).toEqual(['t2', 't3', 't4']);
  fail(pool, 't5', 'x'.repeat(1700));
  expect(ids()).toEqual(['t4', 't5']);
  expect(pool.run.restore().deadBytes).toEqual(pool.run.state.deadBytes);
  pool.pass(60_000);
  fail(pool, 't6');
  expect(ids()).toEqual(['t6']);
});
