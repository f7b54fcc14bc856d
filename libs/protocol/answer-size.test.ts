import { expect, test } from 'vitest';
import { fitting, inParts, Room } from './answer-size.ts';
import { jsonOf } from './json-text.ts';

const item = (kilobytes: number) => 'x'.repeat(kilobytes * 1024 - 2);

test('an answer holds as many items as a message carries, and the first one always', () => {
  expect(fitting([item(300), item(300), item(300)])).toHaveLength(2);
  expect(fitting([item(900), item(1)])).toHaveLength(1);
  expect(fitting([])).toEqual([]);
  const room = new Room();
  expect([room.takes('漢'.repeat(200_000)), room.takes('漢'.repeat(200_000))]).toEqual([true, false]);
});

test('in parts nothing is missing, and what is removed stands in the last', () => {
  const items = Array.from({ length: 20 }, (_, i) => `${i}${item(100)}`);
  const parts = [...inParts(8, items, ['gone'])];
  expect(parts.flatMap(({ changed }) => changed)).toEqual(items);
  expect(parts.map(({ changed }) => changed.length)).toEqual([7, 7, 6]);
  expect(parts.map(({ revision, removed }) => [revision, ...removed])).toEqual([['7'], ['7'], ['8', 'gone']]);
  expect([...inParts(8, [], ['gone'])]).toEqual([{ revision: '8', changed: [], removed: ['gone'] }]);
});

test('the JSON of a part is what the part is', () => {
  const [part] = [...inParts(8, [{ name: 'a"b', none: undefined }, { name: '漢' }], ['x'])];
  expect(jsonOf(part)).toBe(JSON.stringify(part));
  expect(jsonOf({ other: 1 })).toBe('{"other":1}');
});
