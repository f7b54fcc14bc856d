import { expect, test } from 'vitest';
import { WakingTime } from './waking-time.ts';

const INTERVAL_MS = 200;

test('time goes on but while its reader was kept from running; a long sleep is remembered', () => {
  let at = 7000;
  const time = new WakingTime({ monotonic: () => at }, INTERVAL_MS);
  const after = (ms: number) => {
    at += ms;
    return time.now();
  };
  expect([after(0), after(200), after(1000)]).toEqual([7000, 7200, 8200]);
  expect(after(3000)).toBe(8200 + INTERVAL_MS);
  expect(time.awakeSince).toBe(7000);
  expect(after(3_600_000)).toBe(8400 + INTERVAL_MS);
  expect([time.awakeSince, after(100)]).toEqual([8600, 8700]);
});
