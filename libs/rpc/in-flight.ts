import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';

/** How often deadlines are looked at: a server's need not be exact, its client keeps its own. */
const SWEEP_MS = 50;

export interface Running {
  /** By the clock's `monotonic`. */
  readonly deadline: number;
  /** Goes on until somebody ends it. */
  readonly streams: boolean;
  /** Must see to it that it is answered and taken out. */
  end(error: HiveError): void;
}

/** What a server is working on: bounded, swept for deadlines by one timer, and waited for when it stops. */
export class InFlight<R extends Running> {
  readonly #running = new Set<R>();
  readonly #clock: Clock;
  readonly #limit: number;
  #sweeping = false;
  #idle: (() => void)[] = [];

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#running.size;
  }

  get oldest(): R | undefined {
    return this.#running.values().next().value;
  }

  /** Throws RESOURCE_EXHAUSTED, retryable, when there is too much of it. */
  add(entry: R): void {
    if (this.#running.size >= this.#limit) {
      const message = `this server is working on ${this.#limit} requests, which is its limit: try again`;
      throw new HiveError('RESOURCE_EXHAUSTED', message, { retryable: true, retryAfterMs: 20, reason: 'OVERLOADED' });
    }
    this.#running.add(entry);
    if (!this.#sweeping && entry.deadline !== Number.POSITIVE_INFINITY) this.#sweepLater();
  }

  /** False when it was taken out already: somebody else answers it. */
  remove(entry: R): boolean {
    const removed = this.#running.delete(entry);
    if (removed && this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return removed;
  }

  /** Resolves when nothing is running; what still is after `graceMs` is ended with `error`. */
  async drain(graceMs: number, error: HiveError): Promise<void> {
    if (this.#running.size === 0) return;
    using _ = this.#clock.after(graceMs, () => {
      for (const entry of [...this.#running]) entry.end(error);
    });
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  endStreams(error: HiveError): void {
    for (const entry of [...this.#running]) if (entry.streams) entry.end(error);
  }

  #sweepLater(): void {
    this.#sweeping = true;
    this.#clock.after(SWEEP_MS, () => {
      this.#sweeping = false;
      const now = this.#clock.monotonic();
      let some = false;
      for (const entry of [...this.#running]) {
        if (entry.deadline <= now) entry.end(tooLate());
        else some ||= entry.deadline !== Number.POSITIVE_INFINITY;
      }
      if (some && !this.#sweeping) this.#sweepLater();
    });
  }
}

/** For a request whose deadline passed on the way. */
export const cameTooLate = (): HiveError =>
  new HiveError('DEADLINE_EXCEEDED', 'the deadline had passed when the request arrived: nothing was done');

export const tooLate = (): HiveError =>
  new HiveError(
    'DEADLINE_EXCEEDED',
    'the deadline passed before the answer was there; what was asked may still happen',
  );

/** A client that lets what is sent to it wait for so long keeps memory and places from others. It may go on where it was. */
export const takesNothing = (ms: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `the client took nothing of what was sent to it for ${ms} ms`, {
    ...{ retryable: true, reason: 'SLOW_CONSUMER' },
  });
