import { expect, test } from 'vitest';
import { wrapped, wrappedTable } from './wrapped-table.ts';

test('nothing is cut: what is too wide goes on in the next line of its column', () => {
  const rows = [
    ['a', 'one two three four', 'short'],
    ['b', 'five', 'code/agent-1 code/agent-2'],
  ];
  expect(wrappedTable(['X', 'NUMBERS', 'NAMES'], rows, 30)).toBe(
    [
      'X  NUMBERS       NAMES',
      'a  one two       short',
      '   three four',
      'b  five          code/agent-1',
      '                 code/agent-2',
    ].join('\n'),
  );
  const wide = wrappedTable(['X', 'NUMBERS', 'NAMES'], rows, 200);
  expect(wide.split('\n')).toHaveLength(3);
});

test('a word is broken only where it has no room at all', () => {
  expect(wrapped('to abcdefghij of', 4)).toEqual(['to', 'abcd', 'efgh', 'ij', 'of']);
  expect(wrapped('', 4)).toEqual(['']);
  const text = wrappedTable(['A', 'B'], [['abcdefghijklmnop', 'qrstuvwxyz']], 12);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(12);
  expect(text.replace(/[AB\s]/g, '')).toHaveLength(26);
});
