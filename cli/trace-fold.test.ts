import { expect, test } from 'vitest';
import type { Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { allRows, foldedRows, type Row } from './trace-fold.ts';
import { treesOf } from './trace-tree.ts';
import { waterfall } from './waterfall.ts';

const BEGAN_US = Date.parse('2026-11-21T12:00:00.000Z') * 1000;
const idOf = (text: string): string => (text === '' ? '' : text.padEnd(16, '0'));

/** A span from `fromMs` on for `tookMs`. */
const span = (
  id: string,
  parent: string,
  name: string,
  fromMs: number,
  tookMs: number,
  more: Partial<Span> = {},
): Span => ({
  ...{ traceId: 'a'.repeat(32), spanId: idOf(id), parentSpanId: idOf(parent), name },
  ...{ kind: 'SPAN_KIND_INTERNAL', service: 'hivebus-agent', instance: 'vm:1', sender: '' },
  ...{ startUs: String(BEGAN_US + fromMs * 1000), durationUs: String(tookMs * 1000) },
  ...{ attributes: {}, links: [], events: [], failed: false, message: '', open: false },
  ...more,
});

/** A job with `count` tasks of 10 ms, one after the other; `more` says what is special about some. */
function job(count: number, more: (i: number) => Partial<Span> = () => ({})): Span[] {
  const tasks = Array.from({ length: count }, (_, i) => [
    span(`${i}x`, '1', 'task', i * 10, 8 + (i % 3)),
    span(`${i}y`, `${i}x`, 'run', i * 10 + 1, 5, more(i)),
  ]);
  return [span('1', '', 'job', 0, count * 10), ...tasks.flat()];
}

/** Rows as an outline; a fold as its numbers. */
const outline = (rows: readonly Row[]): string[] =>
  rows.map((row) => {
    const indent = '  '.repeat(row.more.length);
    if (row.kind === 'span') return `${indent}${row.span.name}`;
    const { count, wrong, longestUs, totalUs } = row.fold;
    return `${indent}⋮ ${count} ${wrong} ${longestUs / 1000} ${totalUs / 1000}`;
  });
const folded = (spans: readonly Span[]): string[] => outline(foldedRows(treesOf(spans)));

test('of what repeats the first is shown, and how many more there are, how long the longest and all of them took', () => {
  expect(folded(job(10))).toEqual(['job', '  task', '    run', '  ⋮ 9 0 10 81']);
  expect(outline(allRows(treesOf(job(10))))).toHaveLength(21);
});

test('what would take no less room folded is shown', () => {
  expect(folded(job(2))).toEqual(['job', '  task', '    run', '  task', '    run']);
  expect(folded(job(3))).toEqual(['job', '  task', '    run', '  ⋮ 2 0 10 19']);
});

test.each<[string, Partial<Span>]>([
  ['with an error', { failed: true }],
  ['whose end nobody saw', { open: true }],
  ['of a second attempt', { attributes: { 'hivebus.task.attempt': '2' } }],
  ['that was sent again', { events: [{ name: 'sent again, to all replicas', afterUs: '1' }] }],
])('one %s somewhere in it stays visible, at its place', (_, more) => {
  const spans = job(10, (i) => (i === 4 ? more : {}));
  const rows = foldedRows(treesOf(spans));
  expect(outline(rows)).toEqual(['job', '  task', '    run', '  ⋮ 8 0 10 72', '  task', '    run']);
  const last = rows.at(-1);
  expect(last?.kind === 'span' && last.span.spanId).toBe(idOf('4y'));
});

test('when many went wrong the first of them are shown, and the others are counted', () => {
  const rows = folded(job(40, (i) => (i % 2 ? { failed: true } : {})));
  expect(rows.filter((row) => row === '  task')).toHaveLength(6);
  expect(rows).toContain('  ⋮ 34 15 10 307');
});

test('when all went wrong the line stands below the first', () => {
  const rows = folded(job(10, () => ({ failed: true })));
  expect(rows.slice(0, 4)).toEqual(['job', '  task', '    run', '  ⋮ 5 5 10 45']);
});

test('errors come before what was only sent again', () => {
  const events = [{ name: 'sent again', afterUs: '1' }];
  const rows = foldedRows(treesOf(job(30, (i) => (i === 29 ? { failed: true } : { events }))));
  expect(rows.some((row) => row.kind === 'span' && row.span.failed)).toBe(true);
});

test('siblings are alike by name, kind and service; others keep their lines and their order', () => {
  const spans = [
    span('1', '', 'job', 0, 100),
    ...Array.from({ length: 6 }, (_, i) => span(`${i}a`, '1', i % 2 ? 'task' : 'call', i * 10, 5)),
    span('7', '1', 'task', 90, 5, { service: 'other' }),
  ];
  expect(folded(spans)).toEqual(['job', '  call', '  ⋮ 2 0 5 10', '  task', '  ⋮ 2 0 5 10', '  task']);
});

test('what is below the one that is shown is folded, too, and so is what has lost its place', () => {
  const deep = [
    ...job(5),
    ...Array.from({ length: 4 }, (_, i) => span(`${i}z`, '0y', 'step', i, 1)),
    ...Array.from({ length: 7 }, (_, i) => span(`${i}w`, 'ff', 'lost', i, 1)),
  ];
  expect(folded(deep)).toEqual([
    ...['job', '  task', '    run', '      step', '      ⋮ 3 0 1 3', '  ⋮ 4 0 10 36'],
    ...['lost', '⋮ 6 0 1 6'],
  ]);
});

test('each span is shown or counted, exactly once', () => {
  const spans = job(200, (i) => (i % 7 ? {} : { failed: true }));
  const count = (branch: ReturnType<typeof treesOf>[number]): number =>
    1 + branch.parts.reduce((sum, part) => sum + count(part), 0);
  expect(treesOf(spans).reduce((sum, branch) => sum + count(branch), 0)).toBe(spans.length);
  const rows = foldedRows(treesOf(spans));
  const tasks = rows.map((row) => (row.kind === 'fold' ? row.fold.count : Number(row.span.name === 'task')));
  expect(tasks.reduce((sum, each) => sum + each, 0)).toBe(200);
});

test('a chain that a stranger has made very deep harms nobody', () => {
  const chain = Array.from({ length: 5000 }, (_, i) => span(`${i + 1}s`, i === 0 ? '' : `${i}s`, `n${i}`, i, 1));
  expect(allRows(treesOf(chain))).toHaveLength(5000);
});

test.each([80, 160])('in a terminal of %i columns', async (width) => {
  const trouble = (i: number): Partial<Span> => {
    if (i === 7) return { open: true };
    return i > 30 ? { failed: true, message: 'exit code 1' } : {};
  };
  const text = waterfall({ spans: job(40, trouble), missing: 0 }, { width });
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
  await expect(`${text}\n`).toMatchFileSnapshot(`golden/trace-folded-${width}.txt`);
});
