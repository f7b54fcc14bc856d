import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cutBytes, LineSplitter } from './line-splitter.ts';

function split(chunks: Buffer[], maxBytes = 1000): [string, boolean][] {
  const lines: [string, boolean][] = [];
  const splitter = new LineSplitter(maxBytes, (line, truncated) => lines.push([line, truncated]));
  for (const chunk of chunks) splitter.push(chunk);
  splitter.end();
  return lines;
}

test('lines are the same however the bytes arrive', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.nat(20)), (text, sizes) => {
      const bytes = Buffer.from(text);
      const chunks: Buffer[] = [];
      let at = 0;
      for (const size of sizes) {
        chunks.push(bytes.subarray(at, at + size));
        at += size;
      }
      chunks.push(bytes.subarray(at));
      expect(split(chunks)).toEqual(split([bytes]));
    }),
  );
});

test('the last line needs no line end, an empty stream has none, carriage returns are dropped', () => {
  expect(split([Buffer.from('a\r\n\nb')])).toEqual([
    ['a', false],
    ['', false],
    ['b', false],
  ]);
  expect(split([])).toEqual([]);
});

test('a long line is cut at a character and the next one is whole', () => {
  expect(split([Buffer.from('aaé€\nok\n')], 5)).toEqual([
    ['aaé', true],
    ['ok', false],
  ]);
});

test('cutBytes never cuts a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.nat(40), (text, max) => {
      const cut = cutBytes(text, max);
      expect(text.startsWith(cut)).toBe(true);
      expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(Math.max(max, 0));
    }),
  );
});
