import { expect, test } from 'vitest';
import { requestJson } from './request-json.ts';

test('a request is its JSON; null, and words like it, are as good as any', () => {
  expect(requestJson({ a: [1, 'null'], payload: { b: null } })).toBe('{"a":[1,"null"],"payload":{"b":null}}');
});

test('numbers that JSON does not have are told with their places, all of them', () => {
  const request = { limits: { weight: 100 / 0, maxQueued: 3 }, list: [1, Number.NaN] };
  expect(() => requestJson(request)).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      message: 'limits.weight: Infinity must be a number that is finite; list[1]: NaN must be a number that is finite',
    }),
  );
});

test('what JSON cannot hold is the fault of the caller', () => {
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  for (const request of [circle, { count: 1n }]) {
    expect(() => requestJson(request)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  }
});
