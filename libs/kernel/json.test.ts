import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keptJson, sameJson } from './json.ts';

test('the order of keys does not count, everything else does', () => {
  expect(sameJson({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toBe(true);
  expect(sameJson({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(sameJson({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  expect(sameJson([], {})).toBe(false);
  expect(sameJson(null, {})).toBe(false);
  expect(sameJson('1', 1)).toBe(false);
  expect(sameJson({ a: 1 }, { b: 1 })).toBe(false);
});

test('what comes in place of the same is the same', () => {
  const before = [{ a: 1 }];
  expect(keptJson(before, [{ a: 1 }])).toBe(before);
  const after = [{ a: 2 }];
  expect(keptJson(before, after)).toBe(after);
  expect(keptJson(undefined, after)).toBe(after);
});

test('a value is the same as its copy, and two values are the same when their copies in order of keys are', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => sameJson(value, JSON.parse(JSON.stringify(value)))));
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 2 }), fc.jsonValue({ maxDepth: 2 }), (a, b) => {
      expect(sameJson(a, b)).toBe(ordered(a) === ordered(b));
    }),
  );
});

const ordered = (value: unknown): string =>
  JSON.stringify(value, (_, each) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
