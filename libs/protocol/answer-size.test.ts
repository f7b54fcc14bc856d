import { expect, test } from 'vitest';
import { fitting, parts, Room } from './answer-size.ts';

const item = (kilobytes: number) => 'x'.repeat(kilobytes * 1024 - 2);

test('an answer holds as many items as a message carries, and the first one always', () => {
  expect(fitting([item(300), item(300), item(300)])).toHaveLength(2);
  expect(fitting([item(900), item(1)])).toHaveLength(1);
  expect(fitting([])).toEqual([]);
  const room = new Room();
  expect([room.takes('漢'.repeat(200_000)), room.takes('漢'.repeat(200_000))]).toEqual([true, false]);
});

test('in parts nothing is missing', () => {
  const items = Array.from({ length: 20 }, (_, i) => `${i}${item(100)}`);
  expect([...parts(items)].flat()).toEqual(items);
  expect([...parts(items)].map((part) => part.length)).toEqual([7, 7, 6]);
  expect([...parts([])]).toEqual([[]]);
});
