import { expect, test } from 'vitest';
import { Rounds } from './rounds.ts';

test('each has its turn, the one that was unheard of for the longest time first', () => {
  const rounds = new Rounds();
  for (const [i, key] of ['a', 'b', 'c', 'd'].entries()) rounds.watch(key, i);
  expect(rounds.next(100, 100, 10)).toEqual(['a']);
  expect(rounds.next(103, 100, 2)).toEqual(['b', 'c']);
  rounds.heard('d', 110);
  expect(rounds.next(205, 100, 10)).toEqual(['a', 'b', 'c']);
  expect(rounds.next(210, 100, 10)).toEqual(['d']);
});

test('who is watched again keeps its place, and who is not watched is not asked', () => {
  const rounds = new Rounds();
  rounds.watch('a', 0);
  rounds.watch('b', 10);
  rounds.watch('a', 90);
  rounds.heard('c', 90);
  rounds.drop('b');
  expect(rounds.next(100, 100, 10)).toEqual(['a']);
  expect(rounds.size).toBe(1);
  rounds.drop('a');
  expect(rounds.next(1000, 100, 10)).toEqual([]);
});

test('with more than can be asked nobody waits for more than a whole round', () => {
  const rounds = new Rounds();
  const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
  for (const key of keys) rounds.watch(key, 0);
  const asked = new Set<string>();
  for (let i = 1; i <= 10; i++) for (const key of rounds.next(i * 100, 100, 10)) asked.add(key);
  expect(asked.size).toBe(100);
});
