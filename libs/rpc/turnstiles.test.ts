import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import { Turnstiles } from './turnstiles.ts';

const full = new HiveError('RESOURCE_EXHAUSTED', 'no room', { retryable: true, retryAfterMs: 50 });
const greedy: Principal = { kind: 'swarm', swarm: 'greedy', key: 'k1', publicKey: 'p1' };
const modest: Principal = { kind: 'swarm', swarm: 'modest', key: 'k2', publicKey: 'p2' };

function setUp() {
  let nowMs = 0;
  const turnstiles = new Turnstiles({ monotonic: () => nowMs } as Clock);
  return {
    turnstiles,
    pass: (ms: number) => {
      nowMs += ms;
    },
    /** Makes calls of which `room` are taken; how many were let in, and taken. */
    call(caller: Principal, count: number, room: number, method = 'SubmitTask') {
      let [letIn, taken] = [0, 0];
      for (let i = 0; i < count; i++) {
        if (turnstiles.foreseen(caller, method)) continue;
        turnstiles.letIn(caller, method);
        letIn++;
        turnstiles.ended(caller, method, taken < room ? undefined : full);
        if (taken < room) taken++;
      }
      return [letIn, taken];
    },
  };
}

test('who is refused and goes on is let in a little more often than there is room, so that all of it is used', () => {
  const { call, pass } = setUp();
  expect(call(greedy, 1000, 0)).toEqual([501, 0]); // the first is what he is told for
  let [letIn, taken] = [0, 0];
  for (let second = 0; second < 20; second++) {
    for (let tick = 0; tick < 100; tick++) {
      pass(10);
      const [more = 0, done = 0] = call(greedy, 200, 20);
      letIn += more;
      taken += done;
    }
  }
  expect(taken).toBeGreaterThan(20 * 2000 * 0.99);
  expect(letIn).toBeLessThan(20 * 2000 * 1.3);
});

test('others, and other methods, are let in; so is everybody a while after there was room for all', () => {
  const { call, pass, turnstiles } = setUp();
  call(greedy, 1000, 0);
  expect(turnstiles.foreseen(greedy, 'SubmitTask')).toBe(full);
  expect(() => turnstiles.letIn(greedy, 'SubmitTask')).toThrow(full);
  expect(call(modest, 100, 100)).toEqual([100, 100]);
  expect(call(greedy, 100, 100, 'CancelTask')).toEqual([100, 100]);
  expect(call(ANONYMOUS, 2000, 0)).toEqual([2000, 0]);
  pass(10_001);
  expect(call(greedy, 2000, 2000)).toEqual([2000, 2000]);
});

test('other refusals are answers like any', () => {
  const { turnstiles } = setUp();
  const no = new HiveError('FAILED_PRECONDITION', 'no');
  for (let i = 0; i < 1000; i++) turnstiles.ended(greedy, 'SubmitTask', no);
  expect(turnstiles.areCounting).toBe(false);
});
