import { expect, test } from 'vitest';
import { SlotSet, type Slotted } from './slot-set.ts';

interface Named extends Slotted {
  readonly name: string;
}

const named = (name: string): Named => ({ name, slot: -1 });
const namesIn = (set: SlotSet<Named>) => set.all().map(({ name }) => name);

test('holds each member once, and lets any of them go', () => {
  const set = new SlotSet<Named>();
  const [a, b, c] = [named('a'), named('b'), named('c')];
  for (const each of [a, b, c, b]) set.add(each);
  expect(set.size).toBe(3);
  expect(set.delete(a)).toBe(true);
  expect(set.delete(a)).toBe(false);
  expect(namesIn(set).sort()).toEqual(['b', 'c']);
  expect([a, b, c].map((each) => set.has(each))).toEqual([false, true, true]);
  expect(set.delete(c) && set.delete(b)).toBe(true);
  expect(set.size).toBe(0);
  set.add(a);
  expect(namesIn(set)).toEqual(['a']);
});

test('a member of another set is none of this one', () => {
  const [one, other] = [new SlotSet<Named>(), new SlotSet<Named>()];
  const [a, b] = [named('a'), named('b')];
  one.add(a);
  other.add(b);
  expect(one.has(b)).toBe(false);
  expect(one.delete(b)).toBe(false);
  expect(namesIn(other)).toEqual(['b']);
});

test('what is there may be let go while all are walked', () => {
  const set = new SlotSet<Named>();
  for (const name of ['a', 'b', 'c', 'd']) set.add(named(name));
  for (const each of set.all()) if (each.name !== 'c') set.delete(each);
  expect(namesIn(set)).toEqual(['c']);
});
