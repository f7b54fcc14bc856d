import type { Clock } from '../kernel/clock.ts';

/** So many of its intervals late, whoever reads the time was kept from running. */
const INTERVALS_LATE = 5;
/** Who slept for so long, in milliseconds, may have missed what is not said again: nothing from before counts any more. */
const LONG_SLEEP_MS = 5000;

/**
 * Time as a listener counts it, in milliseconds: while its process was stopped, or a busy machine did not let it run, it
 * could hear nobody, so that is not silence. Silence from before goes on, or on a machine that is busy for long nobody's
 * would ever last long enough.
 */
export class WakingTime {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #intervalMs: number;
  #readAt: number;
  #sleptMs = 0;
  #awakeSince: number;

  /** It will be read every `intervalMs` at least. */
  constructor(clock: Pick<Clock, 'monotonic'>, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#readAt = clock.monotonic();
    this.#awakeSince = this.#readAt;
  }

  now(): number {
    const at = this.#clock.monotonic();
    const goneMs = at - this.#readAt;
    this.#readAt = at;
    if (goneMs > INTERVALS_LATE * this.#intervalMs) this.#sleptMs += goneMs - this.#intervalMs;
    const now = at - this.#sleptMs;
    if (goneMs > LONG_SLEEP_MS) this.#awakeSince = now;
    return now;
  }

  /** When its last long sleep was over, or it began. */
  get awakeSince(): number {
    return this.#awakeSince;
  }
}
