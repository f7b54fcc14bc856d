import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { renewAfterMs, usableUntil } from './lease-time.ts';
import type { TaskClaim } from './task.ts';

export interface ClaimOptions {
  /** How long the pool gives the claim for, in milliseconds. */
  readonly termMs: number;
  /** When the confirmation was sent that it gave the claim for, on the clock's monotonic time. */
  readonly sentAt: number;
  readonly clock: Clock;
  /** Confirms once more, within so many milliseconds. Rejects with ABORTED or NOT_FOUND when the attempt is over. */
  readonly renew: (timeoutMs: number) => Promise<unknown>;
  /** The pool says that the attempt is over; the claim goes on until its time is over, too. */
  readonly onRefused: () => void;
  /** The claim is over: whatever of the attempt still runs must end now. */
  readonly onOver: () => void;
}

/** Between two tries to renew a claim, in milliseconds. */
const RETRY_MS = 250;

/**
 * An agent's claim on the attempt that it runs. It counts from the sending of the request that was granted, ends a margin
 * early, and is renewed three times a term: see `claim.ts` of the pool for why the next attempt can rely on it.
 */
export class Claim implements TaskClaim, Disposable {
  readonly #options: ClaimOptions;
  readonly #over = new AbortController();
  readonly #end = new AbortController();
  readonly #followers = new Set<(leftMs: number) => void>();
  #until: number;
  #timer: Disposable | undefined;

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.#until = usableUntil(options.sentAt, options.termMs);
    this.#arm();
    void this.#keep();
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  follow(listener: (leftMs: number) => void): void {
    this.#followers.add(listener);
    listener(this.#leftMs());
  }

  /** Nothing of the attempt runs any more. */
  [Symbol.dispose](): void {
    this.#end.abort();
    this.#timer?.[Symbol.dispose]();
  }

  #leftMs(): number {
    return Math.max(0, this.#until - this.#options.clock.monotonic());
  }

  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#options.clock.after(this.#leftMs(), () => {
      this.#end.abort();
      this.#over.abort(new HiveError('ABORTED', 'the claim of the task is over', { reason: 'CLAIM_OVER' }));
      this.#options.onOver();
    });
  }

  async #keep(): Promise<void> {
    const { clock, termMs } = this.#options;
    const { signal } = this.#end;
    for (let waitMs = renewAfterMs(termMs); ; waitMs = RETRY_MS) {
      await pause(clock, waitMs, signal);
      while (!signal.aborted && (await this.#renewed())) await pause(clock, renewAfterMs(termMs), signal);
      if (signal.aborted) return;
    }
  }

  async #renewed(): Promise<boolean> {
    const { clock, termMs, renew, onRefused } = this.#options;
    const sentAt = clock.monotonic();
    try {
      await renew(renewAfterMs(termMs));
    } catch (cause) {
      const { code } = HiveError.from(cause);
      if (code !== 'ABORTED' && code !== 'NOT_FOUND') return false;
      if (!this.#end.signal.aborted) onRefused();
      this.#end.abort();
      return false;
    }
    if (this.#end.signal.aborted) return false;
    this.#until = usableUntil(sentAt, termMs);
    this.#arm();
    for (const listener of this.#followers) listener(this.#leftMs());
    return true;
  }
}
