import { expect, test } from 'vitest';
import { Pool, START } from './core/fixtures.ts';
import { ProgressBoard } from './progress.ts';

const said = (task: string, percent?: number, text = '', attempt = 1) => ({
  ...{ task, attempt, text, at: undefined },
  ...(percent === undefined ? {} : { percent }),
});

test('a running task tells what its own agent said of its current attempt, cut to what may be', () => {
  const pool = new Pool();
  pool.register('x', { slots: 2 });
  pool.submit('t1');
  const board = new ProgressBoard(() => pool.run.state);
  const seen = () => board.on(pool.task('t1')).progress;
  board.take('a/x', [said('t1', 10)], START);
  expect(seen()).toBeUndefined(); // it has not begun
  pool.confirm('t1');
  board.take('a/x', [said('t1', 140, 'x'.repeat(300)), said('nothing', 1)], START);
  expect(seen()).toEqual({ ...said('t1', 100, 'x'.repeat(256)), at: new Date(START).toISOString() });
  board.take('b/y', [said('t1', 1)], START);
  board.take('a/x', [said('t1', 2, '', 2)], START);
  expect(seen()?.percent).toBe(100);
  board.take('a/x', [said('t1', undefined, 'counting')], START + 1000);
  expect(seen()).toEqual({ ...said('t1', undefined, 'counting'), at: new Date(START + 1000).toISOString() });
  pool.report('t1', 'OUTCOME_FAILED');
  pool.confirm('t1');
  expect(seen()).toBeUndefined(); // of the attempt before
});

test('what is over does not stay for ever', () => {
  const pool = new Pool();
  const board = new ProgressBoard(() => pool.run.state);
  pool.register('x', { slots: 2000 });
  const ids = Array.from({ length: 1030 }, (_, i) => `t${i}`);
  for (const id of ids) {
    pool.submit(id);
    pool.confirm(id);
    board.take('a/x', [said(id, 50)], START);
    if (id !== 't0') pool.report(id);
  }
  expect(board.size).toBeLessThan(10);
  expect(board.on(pool.task('t0')).progress?.percent).toBe(50);
});
