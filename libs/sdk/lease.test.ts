import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { borrow } from './lease.ts';
import { driftMarginMs, usableUntil } from './lease-time.ts';

const TERM_MS = 9000;

/** A pool and a clock that the test owns: renewals fail while there is an error. */
function fixture() {
  let now = 0;
  let timers: { at: number; run: () => void }[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after: (ms, run) => {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return { [Symbol.dispose]: () => (timers = timers.filter((each) => each !== timer)) };
    },
    defer: (run) => run(),
  };
  const state = { renewals: 0, released: 0, error: undefined as HiveError | undefined };
  const lease = {
    ...{ id: 'l', agent: 'a/b', lender: 'a', borrower: 'c', termMs: TERM_MS, state: 'LEASE_STATE_ACTIVE' as const },
    ...{ revision: '1', reason: '', task: '' },
  };
  const pool = {
    requestAgent: async () => ({ lease, revision: '1', request: '' }),
    renewLease: async () => {
      state.renewals++;
      if (state.error) throw state.error;
      return { lease, revision: '1' };
    },
    withdrawAgentRequest: async () => ({ revision: '1' }),
    releaseLease: async () => {
      state.released++;
      return { lease, revision: '1' };
    },
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return {
    state,
    borrow: () => borrow({ pool }, { type: 'x' }, clock),
    async advance(ms: number) {
      for (const end = now + ms; now < end; ) {
        now = Math.max(now, Math.min(end, ...timers.map(({ at }) => at)));
        const due = timers.filter(({ at }) => at <= now);
        timers = timers.filter(({ at }) => at > now);
        for (const { run } of due) run();
        await settle();
      }
    },
  };
}

test('a lease is renewed three times a term, and given back once', async () => {
  const { state, borrow, advance } = fixture();
  const held = await borrow();
  await advance(2 * TERM_MS);
  expect(state.renewals).toBeGreaterThanOrEqual(5);
  expect(held.signal.aborted).toBe(false);
  await held.release();
  await held[Symbol.asyncDispose]();
  await advance(TERM_MS);
  expect(state.released).toBe(1);
});

test('without a renewal the holder stops before the term is over', async () => {
  const { state, borrow, advance } = fixture();
  const held = await borrow();
  state.error = new HiveError('UNAVAILABLE', 'nobody there');
  await advance(TERM_MS - driftMarginMs(TERM_MS) - 50);
  expect(held.signal.aborted).toBe(false);
  await advance(100);
  expect(held.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('a lease that has ended is lost at once', async () => {
  const { state, borrow, advance } = fixture();
  const held = await borrow();
  state.error = new HiveError('FAILED_PRECONDITION', 'revoked');
  await advance(TERM_MS / 3 + 1);
  expect(held.signal.reason).toMatchObject({ message: 'revoked' });
});

test('the margin is part of the term', () => {
  expect(usableUntil(1000, 10_000)).toBe(1000 + 10_000 - 300);
});
