import { expect, test } from 'vitest';
import { RepeatBudget } from './repeat-budget.ts';

const takenOf = (budget: RepeatBudget, tries: number, nowMs: number): number =>
  Array.from({ length: tries }, () => budget.take(nowMs)).filter(Boolean).length;

test('what is under way when a leader is lost is repeated at once; what comes by the thousand is not', () => {
  const budget = new RepeatBudget(0);
  expect(takenOf(budget, 5000, 0)).toBe(1000);
  expect(takenOf(budget, 5000, 1000)).toBe(100);
  for (let i = 0; i < 1000; i++) budget.called();
  expect(takenOf(budget, 5000, 1000)).toBeGreaterThanOrEqual(99);
  expect(takenOf(budget, 5000, 1000)).toBeLessThanOrEqual(1);
});

test('a quiet client may repeat as much as ever, and hoards no more than that', () => {
  const budget = new RepeatBudget(0);
  expect(takenOf(budget, 5000, 3_600_000)).toBe(1000);
});
