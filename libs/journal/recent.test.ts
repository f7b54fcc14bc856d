import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Recent } from './recent.ts';

const record = (revision: number) => ({ revision, time: 0, epoch: 1, events: [] });

test('what comes after a revision is answered whole, or not at all', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.nat(60), fc.nat(1200), (withEvents, from, size) => {
      const recent = new Recent(4, 1000);
      const all: number[] = [];
      withEvents.forEach((has, i) => {
        if (has) all.push(i + 1);
        recent.add(i + 1, has ? record(i + 1) : undefined, size);
      });
      const answer = recent.after(from);
      if (from < recent.floor) expect(answer).toBeUndefined();
      else expect(answer?.map(({ revision }) => revision)).toEqual(all.filter((revision) => revision > from));
    }),
  );
});

test('records that come by again after a reload are not news', () => {
  const recent = new Recent(4, 1000);
  expect(recent.add(1, record(1), 10)).toBe(true);
  expect(recent.add(2, record(2), 10)).toBe(true);
  recent.reset(1);
  expect(recent.add(2, record(2), 10)).toBe(false);
  expect(recent.after(0)?.length).toBe(2);
});

test('large records are kept in smaller number', () => {
  const recent = new Recent(100, 1000);
  for (let i = 1; i <= 50; i++) recent.add(i, record(i), 300);
  const kept = 50 - recent.floor;
  expect(kept).toBeGreaterThanOrEqual(3);
  expect(kept).toBeLessThan(7);
  expect(recent.after(recent.floor)).toHaveLength(kept);
});
