import fc from 'fast-check';
import { expect, test } from 'vitest';
import { byText, OrderedList } from './ordered-list.ts';

const byNumber = (a: number, b: number) => a - b;

test('holds what a sorted set holds, whatever is added and removed', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 2000 })), { maxLength: 3000 });
  fc.assert(
    fc.property(steps, fc.integer({ min: -1, max: 2001 }), (all, from) => {
      const list = new OrderedList<number>(byNumber);
      const model = new Set<number>();
      for (const [add, item] of all) {
        if (add) {
          expect(list.add(item)).toBe(!model.has(item));
          model.add(item);
        } else expect(list.remove(item)).toBe(model.delete(item));
      }
      const sorted = [...model].sort(byNumber);
      expect([...list]).toEqual(sorted);
      expect([list.size, list.first]).toEqual([sorted.length, sorted[0]]);
      expect([...list.after(from)]).toEqual(sorted.filter((item) => item > from));
    }),
    { numRuns: 50 },
  );
});

test('grows and shrinks over many chunks', () => {
  const list = new OrderedList<string>(byText);
  const names = Array.from({ length: 5000 }, (_, i) => `n${(i * 7919) % 5000}`);
  for (const name of names) list.add(name);
  expect([...list]).toEqual([...names].sort());
  expect([...list.after('n4998')]).toEqual([...names].sort().filter((name) => name > 'n4998'));
  for (const name of names) expect(list.remove(name)).toBe(true);
  expect([...list]).toEqual([]);
  expect(list.remove('n1')).toBe(false);
});
