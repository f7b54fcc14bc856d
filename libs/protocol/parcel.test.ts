import { expect, test } from 'vitest';
import { leftIn, leftText, parcelText, unpacked } from './parcel.ts';

test('one message is itself, several are a list', () => {
  expect(unpacked(Buffer.from(parcelText(['{"a":1}'])))).toEqual([{ a: 1 }]);
  expect(unpacked(Buffer.from(parcelText(['{"a":1}', '{"b":"ü"}'])))).toEqual([{ a: 1 }, { b: 'ü' }]);
  expect(() => unpacked(Buffer.from('{"a"'))).toThrow(SyntaxError);
});

test.each([
  [leftText([]), []],
  [leftText([0, 2]), [0, 2]],
  ['thanks', []],
  ['null', []],
  ['{"left": "all"}', []],
  ['{"left": [1, "2", 3.5, null]}', [1]],
])('the answer %j leaves %j', (text, left) => {
  expect(leftIn(Buffer.from(text))).toEqual(left);
});
