import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { ANONYMOUS } from '../protocol/principal.ts';
import { type Holder, holderOf, InFlight, type Running } from './in-flight.ts';

const running = (): Running => ({ deadline: Number.POSITIVE_INFINITY, streams: true, end: () => {} });

/** Adds as many as are taken. */
function fill(inFlight: InFlight<Running>, holders: (i: number) => Holder): { taken: Running[]; refusal: unknown } {
  const taken: Running[] = [];
  for (;;) {
    const entry = running();
    try {
      inFlight.add(entry, holders(taken.length));
      taken.push(entry);
    } catch (refusal) {
      return { taken, refusal };
    }
  }
}

test('one caller gets a quarter of the places, those without a token together a half, the others the rest', () => {
  const inFlight = new InFlight(systemClock, 16);
  const greedy = holderOf(ANONYMOUS, '10.0.0.1:5');
  const one = fill(inFlight, () => greedy);
  expect(one.taken).toHaveLength(4);
  expect(one.refusal).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, reason: 'OVERLOADED' });
  expect(String(one.refusal)).toContain('4 requests of an anonymous caller (10.0.0.1:5)');
  const others = fill(inFlight, (i) => holderOf(ANONYMOUS, `10.0.0.2:${i}`));
  expect(others.taken).toHaveLength(4);
  expect(String(others.refusal)).toContain('without a token');
  const swarm = (key: string) => holderOf({ kind: 'swarm', swarm: 'code', key }, 'x');
  expect(fill(inFlight, () => swarm('k1')).taken).toHaveLength(4);
  expect(fill(inFlight, () => swarm('k2')).taken).toHaveLength(4);
  expect(inFlight.size).toBe(16);
});

test('a place that is given back is another’s', () => {
  const inFlight = new InFlight(systemClock, 16);
  const { taken } = fill(inFlight, () => holderOf(ANONYMOUS, 'a'));
  expect(inFlight.remove(taken[0] as Running)).toBe(true);
  expect(inFlight.remove(taken[0] as Running)).toBe(false);
  expect(fill(inFlight, () => holderOf(ANONYMOUS, 'a')).taken).toHaveLength(1);
});
