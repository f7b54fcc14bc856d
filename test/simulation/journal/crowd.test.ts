import { expect, test } from 'vitest';
import { Crowd } from './crowd.ts';

test.each(Array.from({ length: 12 }, (_, i) => i + 1))('nobody starves in a full queue (seed %i)', async (seed) => {
  const crowd = new Crowd(seed);
  await crowd.run();
  for (const { done, refused, otherwise, longestMs } of crowd.modest) {
    expect({ refused, otherwise }).toEqual({ refused: 0, otherwise: [] });
    expect(done).toBeGreaterThan(5);
    expect(longestMs).toBeLessThan(400);
  }
  for (const { done, refused } of crowd.greedy) {
    expect(done).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  }
  expect(crowd.own).toMatchObject({ refused: 0, otherwise: [] });
});
