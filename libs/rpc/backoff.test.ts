import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { backoffMs, mayRetry } from './backoff.ts';

const patience = { timeoutMs: 10_000, briefMs: 2000 };
const retried = (error: HiveError, elapsedMs = 0, wasRepeated = false): boolean =>
  mayRetry(error, elapsedMs, 100, patience, wasRepeated);

test('what may pass is asked for again until it is too late; what passes at once or never, for a moment', () => {
  const changed = new HiveError('UNAVAILABLE', 'the leader changed', { reason: 'LEADER_CHANGED' });
  const nobody = new HiveError('UNAVAILABLE', 'nobody', { reason: 'NO_RESPONDERS' });
  expect([retried(changed), retried(changed, 9000), retried(changed, 9900)]).toEqual([true, true, false]);
  expect([retried(nobody), retried(nobody, 1900)]).toEqual([true, false]);
  expect(retried(new HiveError('INVALID_ARGUMENT', 'no'))).toBe(false);
});

test('that too much was asked is for the caller to know; but a server without a place is asked again', () => {
  const refused = (reason: string) => new HiveError('RESOURCE_EXHAUSTED', 'too much', { retryable: true, reason });
  expect(retried(refused('QUEUE_FULL'))).toBe(false);
  expect(retried(refused('OVERLOADED'))).toBe(true);
});

test('that there is no room is said of one message: of a call that was sent again it settles nothing', () => {
  const full = new HiveError('RESOURCE_EXHAUSTED', 'full', { retryable: true, reason: 'OVER_LIMIT' });
  expect([retried(full), retried(full, 0, true), retried(full, 9900, true)]).toEqual([false, true, false]);
  const never = new HiveError('RESOURCE_EXHAUSTED', 'larger than the bus carries', { retryable: false });
  expect(retried(never, 0, true)).toBe(false);
});

test('the pause doubles from 20 to 500 ms, between half and all of it, and is not shorter than the server says', () => {
  const error = new HiveError('UNAVAILABLE', 'later');
  const least = [1, 2, 3, 10].map((tries) => backoffMs(tries, error, () => 0));
  const most = [1, 2, 3, 10].map((tries) => backoffMs(tries, error, () => 1));
  expect([least, most]).toEqual([
    [10, 20, 40, 250],
    [20, 40, 80, 500],
  ]);
  const hinted = new HiveError('UNAVAILABLE', 'later', { retryAfterMs: 3000 });
  expect(backoffMs(1, hinted, () => 1)).toBe(3000);
});
