import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import { aQuarter, type Share, twiceTheRest } from '../protocol/shares.ts';
import { InFlight, type Running } from './in-flight.ts';

interface Caller {
  readonly principal: Principal;
  readonly connection: string;
}

const running = (share: Share): Running => ({
  deadline: Number.POSITIVE_INFINITY,
  streams: true,
  share,
  slot: -1,
  end: () => {},
});
const stranger = (connection: string): Caller => ({ principal: ANONYMOUS, connection });
/** A new object each time, as each new token makes one. */
const swarm = (key: string): Caller => ({ principal: { kind: 'swarm', swarm: 'code', key }, connection: 'x' });

/** Adds as many as are taken. */
function fill(inFlight: InFlight<Running>, callers: (i: number) => Caller): { taken: Running[]; refusal: unknown } {
  const taken: Running[] = [];
  for (;;) {
    const { principal, connection } = callers(taken.length);
    try {
      const entry = running(inFlight.room(principal, () => connection));
      inFlight.add(entry);
      taken.push(entry);
    } catch (refusal) {
      expect(inFlight.refusal(principal, () => connection)).toEqual(refusal);
      expect(inFlight.isCrowded).toBe(true);
      return { taken, refusal };
    }
  }
}

test('one caller gets a quarter of the places, those without a token together a half, the others the rest', () => {
  const inFlight = new InFlight(systemClock, 16, aQuarter);
  const one = fill(inFlight, () => stranger('10.0.0.1:5'));
  expect(one.taken).toHaveLength(4);
  expect(one.refusal).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, reason: 'OVERLOADED' });
  expect(String(one.refusal)).toContain('4 requests of an anonymous caller (10.0.0.1:5)');
  const others = fill(inFlight, (i) => stranger(`10.0.0.2:${i}`));
  expect(others.taken).toHaveLength(4);
  expect(String(others.refusal)).toContain('without a token');
  expect(fill(inFlight, () => swarm('k1')).taken).toHaveLength(4);
  expect(fill(inFlight, () => swarm('k2')).taken).toHaveLength(4);
  expect(inFlight.size).toBe(16);
});

test('who is alone may have two thirds of what is soon over, and leaves places for who comes with little', () => {
  const inFlight = new InFlight(systemClock, 4096, twiceTheRest);
  expect(fill(inFlight, () => swarm('greedy')).taken).toHaveLength(2731);
  for (const other of ['greedy-2', 'greedy-3']) fill(inFlight, () => swarm(other));
  for (let polite = 0; polite < 50; polite++) {
    const { principal, connection } = swarm(`polite-${polite}`);
    inFlight.add(running(inFlight.room(principal, () => connection)));
  }
  expect(inFlight.size).toBeLessThan(4096);
});

test('two who want all have soon as many each, whoever came first', () => {
  const inFlight = new InFlight(systemClock, 1000, twiceTheRest);
  const held = { first: fill(inFlight, () => swarm('first')).taken, second: [] as Running[] };
  for (let round = 0; round < 100; round++) {
    for (const who of ['second', 'first'] as const) {
      for (const over of held[who].splice(0, Math.ceil(held[who].length / 10))) inFlight.remove(over);
      held[who].push(...fill(inFlight, () => swarm(who)).taken);
    }
  }
  expect(held.first.length / held.second.length).toBeCloseTo(1, 1);
});

test('a place that is given back is another’s', () => {
  const inFlight = new InFlight(systemClock, 16, aQuarter);
  const { taken } = fill(inFlight, () => stranger('a'));
  expect(inFlight.remove(taken[0] as Running)).toBe(true);
  expect(inFlight.remove(taken[0] as Running)).toBe(false);
  expect(fill(inFlight, () => stranger('a')).taken).toHaveLength(1);
});

test('a caller’s share is one, with however many tokens, and whole again when all is over', () => {
  const inFlight = new InFlight(systemClock, 16, aQuarter);
  const [first, second] = [swarm('k'), swarm('k')];
  for (let round = 0; round < 3; round++) {
    const { taken } = fill(inFlight, (i) => [first, second, swarm('k')][(i + round) % 3] as Caller);
    expect(taken).toHaveLength(4);
    for (const each of taken) inFlight.remove(each);
    expect([inFlight.size, inFlight.isCrowded]).toEqual([0, false]);
  }
});

test('who holds something is not forgotten, however many others come by', () => {
  const inFlight = new InFlight(systemClock, 16, aQuarter);
  const { taken } = fill(inFlight, () => swarm('k'));
  for (let i = 0; i < 30_000; i++) inFlight.refusal(ANONYMOUS, () => `10.0.0.2:${i}`);
  expect(inFlight.refusal(swarm('k').principal, () => 'x')).toMatchObject({ reason: 'OVERLOADED' });
  inFlight.remove(taken[0] as Running);
  expect(inFlight.refusal(swarm('k').principal, () => 'x')).toBeUndefined();
});
