import { expect, test } from 'vitest';
import { formatTraceparent, freshTraceparent, parseTraceparent, traceIdOf } from './traceparent.ts';

const KNOWN = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('is read and written unchanged', () => {
  const context = parseTraceparent(KNOWN);
  expect(context).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', traceFlags: 1, isRemote: true });
  expect(context && formatTraceparent(context)).toBe(KNOWN);
});

test('a fresh one is valid, unsampled and never the same', () => {
  const [one, two] = [freshTraceparent(), freshTraceparent()];
  expect(parseTraceparent(one)?.traceFlags).toBe(0);
  expect(traceIdOf(one)).toMatch(/^[0-9a-f]{32}$/);
  expect(one).not.toBe(two);
});

test.each([
  '',
  'x',
  KNOWN.slice(1),
  `${KNOWN}-1`,
  KNOWN.toUpperCase(),
  `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`,
  `00-4bf92f3577b34da6a3ce929d0e0e4736-${'0'.repeat(16)}-01`,
])('%j is no traceparent', (text) => {
  expect(parseTraceparent(text)).toBeUndefined();
  expect(traceIdOf(text)).toBe('');
});
