import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Table } from './table.ts';

const keys = fc.constantFrom('a', 'b', 'c', 'd');
const steps = fc.array(
  fc.oneof(
    fc.tuple(fc.constant('set' as const), keys, fc.nat(9)),
    fc.tuple(fc.constant('delete' as const), keys, fc.nat(0)),
  ),
);

function play(table: Table<number>, script: readonly (readonly ['set' | 'delete', string, number])[]): void {
  for (const [verb, key, value] of script) {
    if (verb === 'set') table.set(key, value);
    else table.delete(key);
  }
}

test('a frozen table keeps its rows as they were, whatever happens meanwhile', () => {
  fc.assert(
    fc.property(steps, steps, (before, after) => {
      const table = new Table<number>();
      play(table, before);
      const expected = [...table.entries()];
      const frozen = table.freeze();
      play(table, after);
      expect(Array.from({ length: frozen.size }, (_, i) => frozen.row(i))).toEqual(expected);
      frozen.release();
      expect(() => table.freeze().release()).not.toThrow();
    }),
  );
});

test('tracking tells each key that was set or deleted since the last look, and those that were there', () => {
  const table = new Table<number>();
  table.set('old', 1);
  expect(table.drainChanged()).toEqual([]);
  table.track();
  table.set('a', 1);
  table.set('a', 2);
  table.delete('old');
  table.delete('never');
  expect([...table.drainChanged()].sort()).toEqual(['a', 'old']);
  expect(table.drainChanged()).toEqual([]);
});

test('what is staged is not committed until it is said to be', () => {
  const table = new Table<number>();
  table.set('a', 1);
  table.stage();
  table.set('a', 2);
  table.set('a', 3);
  table.set('b', 1);
  expect([table.get('a'), table.get('b')]).toEqual([3, 1]);
  expect([table.committed('a'), table.committed('b')]).toEqual([1, undefined]);
  table.commit();
  table.delete('a');
  expect([table.committed('a'), table.committed('b')]).toEqual([3, 1]);
  table.unstage();
  table.set('b', 2);
  expect([table.committed('a'), table.committed('b')]).toEqual([undefined, 2]);
});
