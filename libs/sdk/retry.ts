import { offAbort, onAbort } from '../kernel/aborts.ts';
import { type Clock, pauseAlive } from '../kernel/clock.ts';
import { type Code, HiveError } from '../kernel/errors.ts';

/** What may pass by itself: nobody answers, a new leader is being found, too much is asked at once. */
const PASSING: ReadonlySet<Code> = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'UNAUTHENTICATED',
]);

const FIRST_DELAY_MS = 100;
/** A call has patience of its own; longer pauses would only add to an outage. */
const MAX_DELAY_MS = 2000;

/** Calls until it is accepted or refused for good; the delay doubles from 100 ms to 2 s. Rejects when `signal` aborts or time is up. */
export async function untilSettled<T>(
  call: () => Promise<T>,
  options: { clock: Clock; signal: AbortSignal; giveUpMs?: number | undefined; onRetry?: (error: HiveError) => void },
): Promise<T> {
  const { clock, signal, onRetry, giveUpMs = Number.POSITIVE_INFINITY } = options;
  const giveUpAt = clock.monotonic() + giveUpMs;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
    try {
      return await call();
    } catch (cause) {
      const error = HiveError.from(cause);
      if (signal.aborted || clock.monotonic() >= giveUpAt || !(error.retryable || PASSING.has(error.code))) throw error;
      onRetry?.(error);
      await pauseAlive(clock, Math.max(delayMs, error.retryAfterMs ?? 0), signal);
      if (signal.aborted) throw error;
    }
  }
}

/** What `answer` comes to; rejects with CANCELLED at once when `signal` aborts. */
export function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const over = () => reject(new HiveError('CANCELLED', 'nobody waits for the answer any more'));
    if (signal.aborted) over();
    onAbort(signal, over);
    answer.then(resolve, reject).finally(() => offAbort(signal, over));
  });
}
