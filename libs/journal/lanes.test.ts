import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import type { Waiting } from './group.ts';
import { Lanes } from './lanes.ts';

const ADA = { kind: 'operator', name: 'ada', key: 'k' } as const;
/** A new object each time, as each new token makes one. */
const swarm = (name: string): Principal => ({ kind: 'swarm', swarm: name, key: `key-${name}` });

const waiting = (name: string, principal: Principal): Waiting => ({
  kind: 'command',
  name,
  input: {},
  call: {
    principal,
    trace: { traceparent: '', correlationId: '', hops: 0 },
    signal: new AbortController().signal,
  },
  settle: () => {},
});

/** Lanes with a clock that stands until it is told. */
function setUp(maxWaiting = 20_000) {
  let nowMs = 0;
  const clock = { monotonic: () => nowMs } as Clock;
  const lanes = new Lanes(clock, 'desk', new Set(['submit']), maxWaiting);
  return {
    lanes,
    add: (name: string, count = 1, caller: (i: number) => Principal = () => ADA) =>
      Array.from({ length: count }, (_, i) => lanes.add(waiting(name, caller(i)))),
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** One group: each decision takes so long. */
    gather(eachMs = 0, most = Number.POSITIVE_INFINITY): string[] {
      const taken: string[] = [];
      lanes.gather(({ name }) => {
        if (taken.length >= most) return false;
        taken.push(name);
        nowMs += eachMs;
        return true;
      });
      return taken;
    },
  };
}

test('what ends work is taken before new work that came earlier', () => {
  const { add, gather, lanes } = setUp();
  add('submit', 3);
  add('report', 2);
  expect(gather()).toEqual(['report', 'report', 'submit', 'submit', 'submit']);
  expect(lanes.size).toBe(0);
});

test('new work is never kept out: it has one of 32 places', () => {
  const { add, gather } = setUp();
  add('report', 100);
  add('submit', 5);
  const taken = gather(0, 64);
  expect(taken.filter((name) => name === 'submit')).toHaveLength(2);
  expect([taken.indexOf('submit'), taken.lastIndexOf('submit')]).toEqual([31, 63]);
});

test('new work is decided for 20 ms in one group, whatever waits; what came meanwhile has the next one', () => {
  const { add, gather, lanes } = setUp();
  add('submit', 100);
  expect(gather(5)).toHaveLength(5);
  add('report', 100);
  const taken = gather(5);
  expect(taken.slice(0, 31).every((name) => name === 'report')).toBe(true);
  expect(taken.filter((name) => name === 'report')).toHaveLength(100);
  expect(taken.filter((name) => name === 'submit').length).toBeLessThanOrEqual(5);
  expect(lanes.size).toBeGreaterThan(85);
});

test('a burst and a stall are worked off; what is late for a second is too much, until it is short again', () => {
  const { add, gather, pass } = setUp();
  add('submit', 200);
  pass(5000); // the journal could not be reached
  expect(add('submit')).toEqual([undefined]);
  while (gather(2).length > 0);
  expect(add('submit')).toEqual([undefined]);

  // Ever more comes than is done: late after half a second, too much when it has been so for a second.
  const refusals = [];
  for (let ms = 0; ms < 2500 && refusals.length === 0; ms += 20) {
    refusals.push(...add('submit', 20).filter((error) => error !== undefined));
    gather(2);
  }
  expect(refusals[0]).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, reason: 'BEHIND' });
  expect(refusals[0]?.retryAfterMs).toBeGreaterThan(500);
  expect(add('report')).toEqual([undefined]);

  for (let i = 0; i < 1000 && add('submit')[0]; i++) gather(2);
  expect(add('submit')).toEqual([undefined]);
});

test('new work has half of the places, the rest is for what ends work', () => {
  const { add, lanes } = setUp(10);
  const each = (i: number) => swarm(`s-${i}`);
  expect(add('submit', 6, each).map((error) => error?.reason)).toEqual([...Array(5).fill(undefined), 'QUEUE_FULL']);
  expect(add('report', 6, each).map((error) => error?.reason)).toEqual([...Array(5).fill(undefined), 'QUEUE_FULL']);
  expect(lanes.takeAll().map(({ name }) => name)).toEqual([...Array(5).fill('report'), ...Array(5).fill('submit')]);
  expect(lanes.size).toBe(0);
});

const taken = (refusals: readonly unknown[]): number => refusals.filter((error) => error === undefined).length;

test.each(['submit', 'report'])(
  'who is alone may have two thirds of the places for a %s, and others find one',
  (name) => {
    const { add, lanes } = setUp(900);
    const places = name === 'submit' ? 450 : 900;
    const greedy = add(name, 1000, () => swarm('greedy'));
    expect(taken(greedy)).toBe((places * 2) / 3);
    expect(greedy.at(-1)).toMatchObject({
      ...{ code: 'RESOURCE_EXHAUSTED', retryable: true, retryAfterMs: 100, reason: 'QUEUE_FULL' },
      message: expect.stringContaining(`${(places * 2) / 3} commands of swarm:greedy`),
    });
    for (const other of ['greedy-2', 'greedy-3']) add(name, 1000, () => swarm(other));
    for (let i = 0; i < 10; i++) expect(add(name, 1, () => swarm(`polite-${i}`))).toEqual([undefined]);
    lanes.takeAll();
    expect(taken(add(name, 1000, () => swarm('greedy')))).toBe((places * 2) / 3);
  },
);

test('too much new work of a caller does not keep his own reports out', () => {
  const { add } = setUp(900);
  expect(taken(add('submit', 1000))).toBe(300);
  expect(taken(add('report', 300))).toBe(300);
});

test('what is taken makes room for whose it was', () => {
  const { add, gather } = setUp(900);
  add('report', 1000);
  gather(0, 100);
  expect(taken(add('report', 1000))).toBe(100);
});

test('the service’s own commands have any place that is left', () => {
  const { add } = setUp(900);
  expect(taken(add('report', 1000, () => ({ kind: 'service', name: 'pool' })))).toBe(900);
});

test('readers without a token are one caller, wherever they are', () => {
  const { add } = setUp(900);
  const refusals = add('report', 1000, () => ANONYMOUS);
  expect(taken(refusals)).toBe(450);
  expect(refusals.at(-1)?.message).toContain('send a token');
});
