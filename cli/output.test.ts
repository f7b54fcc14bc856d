import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { fields, leftOutText, listing, table, yamlOf } from './output.ts';

const HEAD = ['NAME', 'WHAT'];
const ROWS = [
  ['a', 'short'],
  ['quite-a-long-name', 'and some more text that goes on and on'],
];

test('columns are as wide as what is in them', () => {
  expect(table(HEAD, ROWS, 200).split('\n')).toEqual([
    'NAME               WHAT',
    'a                  short',
    'quite-a-long-name  and some more text that goes on and on',
  ]);
});

test.each([35, 45, 55])('a table fits into %d characters: the widest column gives way', (width) => {
  const lines = table(HEAD, ROWS, width).split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
  expect(lines[2]).toMatch(/^quite-a-long-name {2}and .*…$/);
});

test('columns without room are left out, what names the row stays whole', () => {
  expect(table(HEAD, ROWS, 20)).toBe('NAME\na\nquite-a-long-name');
  expect(table(HEAD, ROWS, 5)).toBe('NAME\na\nquite-a-long-name');
});

test('when columns are left out, the others take the room', () => {
  const head = ['ID', 'TITLE', 'LAST', 'MORE'];
  const row = ['t-1', 'a title that is quite long', 'b'.repeat(40), 'c'.repeat(40)];
  expect(table(head, [row], 33).split('\n')[1]).toBe('t-1  a title that…  bbbbbbbbbbbb…');
  expect(table(head, [row], 30).split('\n')[1]).toBe('t-1  a title that is quite lo…');
});

test('columns that are left out are named below, as far as there is room', () => {
  const head = ['ID', 'TITLE', 'LAST', ''];
  const row = ['t-1', 'a title that is quite long', 'b'.repeat(40), 'c'.repeat(40)];
  const below = (width: number, most?: number) => listing(head, [row], width, most).split('\n').slice(2);
  expect(below(200)).toEqual([]);
  expect(below(45)).toEqual([]);
  expect(below(200, 2)).toEqual(['not shown: LAST (-o wide shows all)']);
  expect(below(40, 2)).toEqual(['not shown: LAST (-o wide shows all)']);
  expect(below(20)).toEqual(['2 columns not shown (-o wide)']);
  expect(leftOutText([''], 80)).toBe('1 column not shown (-o wide)');
  expect(leftOutText([], 80)).toBe('');
});

test('fields are aligned', () => {
  expect(
    fields([
      ['a', '1'],
      ['long', '2'],
    ]),
  ).toBe('a     1\nlong  2');
});

test('what readers of YAML 1.1 would take for something else is in quotes', () => {
  const value = { gpu: 'yes', no: 'off', y: '1:20', port: '0o17', day: '2026-03-01', text: 'yes, please' };
  const text = yamlOf(value);
  for (const version of ['1.1', '1.2'] as const) expect(parse(text, { version })).toEqual(value);
  expect(text).toContain('gpu: "yes"');
  expect(text).toContain('text: yes, please');
});
