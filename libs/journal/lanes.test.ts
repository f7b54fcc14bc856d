import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import type { Waiting } from './group.ts';
import { Lanes } from './lanes.ts';

const PRINCIPAL = { kind: 'operator', name: 'ada', key: 'k' } as const;

const waiting = (name: string): Waiting => ({
  kind: 'command',
  name,
  input: {},
  call: {
    principal: PRINCIPAL,
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
    add: (name: string, count = 1) => Array.from({ length: count }, () => lanes.add(waiting(name))),
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
  expect(add('submit', 6).map((error) => error?.reason)).toEqual([...Array(5).fill(undefined), 'QUEUE_FULL']);
  expect(add('report', 6).map((error) => error?.reason)).toEqual([...Array(5).fill(undefined), 'QUEUE_FULL']);
  expect(lanes.takeAll().map(({ name }) => name)).toEqual([...Array(5).fill('report'), ...Array(5).fill('submit')]);
  expect(lanes.size).toBe(0);
});
