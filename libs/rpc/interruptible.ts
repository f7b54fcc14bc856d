/** Waits that end when a signal aborts: like a race with it, but leaving nothing behind on a signal that lives long. */
class Interruptible {
  readonly #signal: AbortSignal;
  #reject: ((reason: unknown) => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#reject?.(signal.reason), { once: true });
  }

  /** Settles as `promise` does, or rejects with the signal's reason. One wait at a time. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#signal.aborted) reject(this.#signal.reason);
      promise.then(resolve, reject);
    });
  }
}

/**
 * Hands every item to `take`, waiting for each, until they end or `signal` aborts (then it rejects with the reason).
 * The source is told to stop but not waited for: a generator that waits for something else would hold us.
 */
export async function pump<T>(
  items: AsyncIterable<T>,
  signal: AbortSignal,
  take: (item: T) => Promise<void> | undefined,
): Promise<void> {
  const iterator = items[Symbol.asyncIterator]();
  const interruptible = new Interruptible(signal);
  try {
    for (;;) {
      const { done, value } = await interruptible.wait(iterator.next());
      if (done) return;
      const taken = take(value);
      if (taken) await interruptible.wait(taken);
    }
  } finally {
    void Promise.resolve(iterator.return?.()).catch(() => {});
  }
}
