/** Repeats that may be sent at once: enough for all that is under way when a leader is lost. */
const MOST = 1000;
const PER_CALL = 0.1;
const PER_SECOND = 100;

/**
 * How often calls may be sent again while nobody answers. A server that has too much to do answers late; if each call were
 * then sent again, it would have several times as much, and answer nothing in time. So repeats are a tenth of the calls,
 * and a few each second, with some in hand. The idea is gRPC's (proposal A6, throttling of retries) and Finagle's (budgets).
 */
export class RepeatBudget {
  #left = MOST;
  #at: number;

  /** Times are milliseconds of a monotonic clock. */
  constructor(nowMs: number) {
    this.#at = nowMs;
  }

  /** A call was made. */
  called(): void {
    this.#left = Math.min(MOST, this.#left + PER_CALL);
  }

  /** May one be sent again? If so, that is one less. */
  take(nowMs: number): boolean {
    this.#left = Math.min(MOST, this.#left + ((nowMs - this.#at) / 1000) * PER_SECOND);
    this.#at = nowMs;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
