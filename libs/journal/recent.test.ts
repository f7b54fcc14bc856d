import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Recent } from './recent.ts';

const record = (revision: number) => ({ revision, time: 0, epoch: 1, events: [] });

test('what comes after a revision is answered whole, or not at all', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 60 }), fc.nat(60), (withEvents, from) => {
      const recent = new Recent(4);
      const all: number[] = [];
      withEvents.forEach((has, i) => {
        if (has) all.push(i + 1);
        recent.add(i + 1, has ? record(i + 1) : undefined);
      });
      const answer = recent.after(from);
      if (from < recent.floor) expect(answer).toBeUndefined();
      else expect(answer?.map(({ revision }) => revision)).toEqual(all.filter((revision) => revision > from));
    }),
  );
});

test('records that come by again after a reload are not news', () => {
  const recent = new Recent(4);
  expect(recent.add(1, record(1))).toBe(true);
  expect(recent.add(2, record(2))).toBe(true);
  recent.reset(1);
  expect(recent.add(2, record(2))).toBe(false);
  expect(recent.after(0)?.length).toBe(2);
});
