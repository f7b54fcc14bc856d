import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Placed, Ranked } from './ranked.ts';

interface Item extends Placed {
  readonly id: number;
  rank: number;
}

test('in every history the order is that of a sorted list', () => {
  const change = fc.tuple(fc.constantFrom('add', 'remove', 'move'), fc.nat({ max: 50 }), fc.nat({ max: 20 }));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 200, size: 'max' }), (changes) => {
      const ranked = new Ranked<Item>((a, b) => (a.rank === b.rank ? a.id < b.id : a.rank < b.rank));
      const items = new Map<number, Item>();
      for (const [what, id, rank] of changes) {
        const item = items.get(id);
        if (what === 'add' && !item) {
          const fresh = { id, rank, place: -1 };
          items.set(id, fresh);
          ranked.add(fresh);
        } else if (what === 'remove' && item) {
          items.delete(id);
          ranked.remove(item);
          expect(item.place).toBe(-1);
        } else if (what === 'move' && item) {
          item.rank = rank;
          ranked.moved(item);
        }
      }
      const sorted = [...items.values()].sort((a, b) => a.rank - b.rank || a.id - b.id);
      expect([...ranked.inOrder()].map(({ id }) => id)).toEqual(sorted.map(({ id }) => id));
      expect([ranked.size, ranked.first?.id, ranked.second?.id]).toEqual([items.size, sorted[0]?.id, sorted[1]?.id]);
    }),
  );
});
