/** Wakes those who wait for something to change: a role, a revision. What changed they look up themselves. */
export class Changes {
  #waiting: (() => void)[] = [];

  tell(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves at the next change, or when `signal` aborts. */
  next(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.push(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }
}
