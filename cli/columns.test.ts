import { expect, test } from 'vitest';
import { Columns } from './columns.ts';

const HEAD = ['TASK', 'STATE', 'TITLE'];

test('columns stay where the head is, and what is too long is cut', () => {
  const columns = new Columns(HEAD, 45);
  const first = columns.place([['task-21vhkr223jc5', 'queued', 'a']]);
  expect(first).toEqual({ widths: [17, 12, 12], moved: true });
  expect(columns.place([['task-1', 'succeeded', 'x'.repeat(40)]])).toEqual({ widths: first.widths, moved: false });
  expect(columns.place([['task-2', 'succeeded', 'x']])).toEqual({ widths: first.widths, moved: false });
});

test('they grow where there is room, and give way to a longer name: then the head is due again', () => {
  const columns = new Columns(HEAD, 60);
  columns.place([['task-1', 'queued', 'a']]);
  expect(columns.place([['task-1', 'queued', 'x'.repeat(20)]])).toEqual({ widths: [12, 12, 20], moved: true });
  expect(columns.place([['n'.repeat(30), 'queued', 'a']])).toEqual({ widths: [30, 12, 14], moved: true });
});

test('without a limit nothing is cut', () => {
  const columns = new Columns(HEAD, Number.POSITIVE_INFINITY);
  columns.place([]);
  expect(columns.place([['task-1', 'x'.repeat(100), 'a']]).widths).toEqual([12, 100, 12]);
});
