import { expect, test } from 'vitest';
import { pick, seeded } from '../kernel/rng.ts';
import { RequestIds, type Ticket } from './request-ids.ts';

test('one call after the other uses one client id', () => {
  const ids = new RequestIds('cli');
  const given = Array.from({ length: 100 }, () => {
    const id = ids.take();
    ids.release(id);
    return id;
  });
  expect(new Set(given.map((id) => id.client)).size).toBe(1);
  expect(given.map((id) => id.counter)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
});

test('no counter runs 16 ahead of the lowest unanswered, whatever is answered when', () => {
  const rng = seeded(7);
  const ids = new RequestIds('cli');
  const open: Ticket[] = [];
  const given = new Set<string>();
  for (let i = 0; i < 20_000; i++) {
    if (open.length < 200 && rng() < 0.6) {
      const id = ids.take();
      expect(given.has(`${id.client}:${id.counter}`)).toBe(false);
      given.add(`${id.client}:${id.counter}`);
      open.push(id);
      const lowest = Math.min(...open.filter((each) => each.client === id.client).map((each) => each.counter));
      expect(id.counter - lowest).toBeLessThan(16);
    } else if (open.length > 0) {
      const [id] = open.splice(pick(rng, open.length), 1);
      ids.release(id as Ticket);
    }
  }
});

test('two processes of one name have different ids', () => {
  expect(new RequestIds('cli').take().client).not.toBe(new RequestIds('cli').take().client);
});
