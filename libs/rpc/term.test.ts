import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { SharedTerms, Term } from './term.ts';

const why = new HiveError('DEADLINE_EXCEEDED', 'too late');

test('a signal says what aborted it, whether it was asked for before or after', () => {
  const [early, late] = [new Term(), new Term()];
  const { signal } = early;
  early.abort(why);
  late.abort(why);
  expect([signal.reason, late.signal.reason]).toEqual([why, why]);
});

test('only calls that end at the same time share a term, and never end too early', () => {
  const terms = new SharedTerms();
  const term = terms.of(1000, 10_001);
  expect(terms.of(1010, 10_000)).toBe(term);
  expect(term.deadline).toBe(11_050);
  expect(terms.of(1010, 10_100)).not.toBe(term);
  expect(terms.of(1060, 10_001)).not.toBe(term);
});

test('few terms are remembered', () => {
  const terms = new SharedTerms();
  const first = terms.of(0, 1000);
  for (let i = 1; i <= 8; i++) terms.of(0, 1000 + i * 50);
  expect(terms.of(0, 1000)).not.toBe(first);
});
