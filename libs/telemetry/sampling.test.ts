import { expect, test } from 'vitest';
import { keepsTrace, keepsTraceId } from './sampling.ts';
import { freshTraceparent } from './traceparent.ts';

const ID = '4bf92f3577b34da6a3ce929d';
const traceparent = (last: string, flags = '00') => `00-${ID}${last}-00f067aa0ba902b7-${flags}`;

test('the end of the id decides', () => {
  expect(keepsTrace(traceparent('00000000'), 1e-9)).toBe(true);
  expect(keepsTrace(traceparent('7fffffff'), 0.5)).toBe(true);
  expect(keepsTrace(traceparent('80000000'), 0.5)).toBe(false);
  expect(keepsTraceId(`${ID}80000000`, 0.51)).toBe(true);
});

test('what somebody has sampled is kept, and whatever begins here is not decided yet', () => {
  expect(keepsTrace(traceparent('ffffffff', '01'), 1e-9)).toBe(true);
  expect(keepsTrace(traceparent('ffffffff', '03'), 1e-9)).toBe(true);
  expect(keepsTrace(traceparent('ffffffff', '02'), 1e-9)).toBe(false);
  expect(keepsTrace('', 1e-9)).toBe(true);
  expect(keepsTrace(traceparent('ffffffff'), 'always')).toBe(true);
});

test('about so many of fresh traces are kept as the ratio says', () => {
  const kept = Array.from({ length: 4000 }, freshTraceparent).filter((one) => keepsTrace(one, 0.25)).length;
  expect(kept).toBeGreaterThan(800);
  expect(kept).toBeLessThan(1200);
});
