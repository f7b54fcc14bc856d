import fc from 'fast-check';
import { expect, test } from 'vitest';
import { NameSet } from './name-set.ts';

test('has what a set of the same names has', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  fc.assert(
    fc.property(fc.array(name, { maxLength: 5 }), name, (names, asked) => {
      const set = new NameSet(names);
      expect([set.has(asked), set.size]).toEqual([new Set(names).has(asked), new Set(names).size]);
    }),
  );
});
