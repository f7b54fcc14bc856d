import { offAbort, onAbort } from './aborts.ts';
import { disposable } from './disposable.ts';

/** Time and scheduling, passed in so that tests and simulations own them. */
export interface Clock {
  /** Wall clock, milliseconds since 1970. May jump. */
  now(): number;
  /** Milliseconds since some moment. Never goes back. */
  monotonic(): number;
  /** Calls `run` once after `ms`; disposing it first cancels it. Never keeps a process alive. */
  after(ms: number, run: () => void): Disposable;
  /** Calls `run` soon, after I/O that is ready now: what may wait until callers have been answered. */
  defer(run: () => void): void;
}

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return disposable(() => clearTimeout(timer));
  },
  defer: (run) => void setImmediate(run),
};

/** Resolves after `ms`, or at once when `signal` aborts; never rejects, and leaves no listener behind. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      timer[Symbol.dispose]();
      if (signal) offAbort(signal, done);
      resolve();
    };
    const timer = clock.after(ms, done);
    if (signal) onAbort(signal, done);
  });
}

/**
 * The same for whoever asks again until he is answered. A process whose connections are closed meanwhile would end here without
 * a word, since a clock's timers do not keep it alive.
 */
export async function pauseAlive(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  const alive = setInterval(() => {}, 2 ** 30);
  await pause(clock, ms, signal);
  clearInterval(alive);
}
