import { expect, test } from 'vitest';
import { Together } from './together.ts';

const doubling = (most: number) => {
  const calls: number[][] = [];
  const together = new Together<number, number>(async (requests) => {
    calls.push(requests);
    if (requests.includes(13)) throw new Error('unlucky');
    return requests.map((request) => 2 * request);
  }, most);
  return { calls, together };
};

test('what is asked in one tick goes in one call, and each gets its own answer', async () => {
  const { calls, together } = doubling(10);
  expect(await Promise.all([1, 2, 3].map((n) => together.call(n)))).toEqual([2, 4, 6]);
  expect(await together.call(4)).toBe(8);
  expect(calls).toEqual([[1, 2, 3], [4]]);
});

test('a call takes only so many, and one that fails fails for its own', async () => {
  const { calls, together } = doubling(2);
  const outcomes = await Promise.allSettled([1, 2, 13, 4, 5].map((n) => together.call(n)));
  expect(calls).toEqual([[1, 2], [13, 4], [5]]);
  expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'refused'))).toEqual([
    ...[2, 4, 'refused', 'refused', 10],
  ]);
});
