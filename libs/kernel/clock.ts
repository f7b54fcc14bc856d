import { offAbort, onAbort } from './aborts.ts';

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
    return { [Symbol.dispose]: () => clearTimeout(timer) };
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
