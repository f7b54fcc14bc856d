import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { SessionOpenings } from './session-openings.ts';

/** Timers run when they are told to. */
function handClock() {
  const timers = new Map<() => void, number>();
  const deferred: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after(ms, run) {
      timers.set(run, ms);
      return { [Symbol.dispose]: () => void timers.delete(run) };
    },
    defer: (run) => void deferred.push(run),
  };
  const due = () => {
    for (const run of timers.keys()) {
      timers.delete(run);
      run();
    }
  };
  const goOn = () => {
    for (const run of deferred.splice(0)) run();
  };
  return { clock, timers, due, goOn };
}

test('an opening that is not answered is given up, with the address and the time', () => {
  const { clock, due, goOn } = handClock();
  const openings = new SessionOpenings(clock, 5000, 2);
  let gaveUp = 0;
  using opening = openings.wait('pool:7701', () => gaveUp++);
  due();
  expect(opening.error).toBeUndefined(); // what has arrived is read first
  goOn();
  expect([gaveUp, opening.isOver]).toEqual([1, true]);
  expect(opening.error).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  expect(opening.error?.message).toContain("pool:7701 did not answer the session's opening within 5000 ms;");
});

test('one that is answered, or left, is not; also when the answer was there before it was looked', () => {
  const { clock, timers, due, goOn } = handClock();
  const openings = new SessionOpenings(clock, 5000, 1);
  const never = () => expect.unreachable();
  openings.wait('a:1', never).answered();
  openings.wait('a:1', never)[Symbol.dispose]();
  expect(timers.size).toBe(0);
  const late = openings.wait('a:1', never);
  due();
  late.answered();
  goOn();
  expect(late.error).toBeUndefined();
});

test('each round in which all were silent doubles the patience, up to a minute; an answer begins anew', () => {
  const { clock, due, goOn } = handClock();
  const openings = new SessionOpenings(clock, 5000, 2);
  const patience = Array.from({ length: 12 }, () => {
    const { patienceMs } = openings;
    openings.wait('a:1', () => {});
    due();
    goOn();
    return patienceMs / 1000;
  });
  expect(patience).toEqual([5, 5, 10, 10, 20, 20, 40, 40, 60, 60, 60, 60]);
  openings.wait('a:1', () => {}).answered();
  expect(openings.patienceMs).toBe(5000);
  expect(new SessionOpenings(clock, 90_000, 1).patienceMs).toBe(90_000);
});
