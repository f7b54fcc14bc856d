import { expect, test } from 'vitest';
import { groupSpec } from './group-fixtures.ts';
import type { WindowRow } from './group-rows.ts';
import { adapted, concurrencyOf, openWindow } from './group-window.ts';

const spec = groupSpec({
  strategy: 'GROUP_STRATEGY_ADAPTIVE',
  adaptive: { initial: 4, min: 2, tolerancePercent: 0 },
  maxConcurrency: 20,
});

/** Attempts that begin and end one after the other, a step of 10 ms each; gives the windows in tasks. */
function run(attempts: readonly [outcome: 'ok' | 'failed' | 'lost', tookMs: number][], inHand = 100): number[] {
  let window: WindowRow = openWindow(spec);
  let now = 1000;
  return attempts.map(([outcome, tookMs]) => {
    const assignedAt = now;
    now += tookMs;
    const how = { ok: 'OUTCOME_SUCCEEDED', failed: 'OUTCOME_FAILED', lost: 'OUTCOME_LOST' } as const;
    window = adapted({ spec, window }, { assignedAt, startedAt: assignedAt }, how[outcome], inHand, now);
    return window.size / 1000;
  });
}

test('it grows by one for each round of successes, up to the bound', () => {
  expect(run(Array(4).fill(['ok', 100])).at(-1)).toBeCloseTo(4.9, 0);
  expect(run(Array(500).fill(['ok', 100])).at(-1)).toBe(20);
});

test('a failure halves it, and never below the least; a lost agent changes nothing', () => {
  expect(run([['failed', 10]])).toEqual([2]);
  expect(run([...Array(100).fill(['ok', 100]), ['failed', 10]] as never).at(-1)).toBeLessThan(8);
  expect(run(Array(5).fill(['failed', 10])).at(-1)).toBe(2);
  expect(run([['lost', 10]])).toEqual([4]);
});

test('what was given out before a cut does not cut again', () => {
  const before = { assignedAt: 500, startedAt: 500 };
  const once = adapted({ spec, window: { ...openWindow(spec), size: 16_000 } }, before, 'OUTCOME_FAILED', 16, 1000);
  expect(once.size).toBe(8000);
  expect(adapted({ spec, window: once }, before, 'OUTCOME_FAILED', 15, 1001)).toBe(once);
  const later = { assignedAt: 1002, startedAt: 1002 };
  expect(adapted({ spec, window: once }, later, 'OUTCOME_FAILED', 8, 1100).size).toBe(4000);
});

test('when tasks take much longer than they used to it shrinks, before anything fails', () => {
  const steady = Array(60).fill(['ok', 100]) as ['ok', number][];
  const slow = Array(12).fill(['ok', 1000]) as ['ok', number][];
  const sizes = run([...steady, ...slow]);
  expect(sizes.at(-1)).toBeLessThan(sizes[59] as number);
});

test('it does not grow while it is not used up', () => {
  expect(run(Array(50).fill(['ok', 100]), 1).at(-1)).toBe(4);
});

test('what a group may have in hand follows from its strategy', () => {
  expect(concurrencyOf({ spec, window: openWindow(spec) })).toBe(4);
  expect(concurrencyOf({ spec: groupSpec({ strategy: 'GROUP_STRATEGY_SEQUENTIAL' }) })).toBe(1);
  expect(concurrencyOf({ spec: groupSpec({ maxConcurrency: 7 }) })).toBe(7);
  expect(concurrencyOf({ spec: groupSpec() })).toBeUndefined();
});
