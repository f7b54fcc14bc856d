import type { Clock } from '../kernel/clock.ts';

/** An agent that has sent no heartbeat for so many of their intervals may have been given up. */
const BEATS_MISSED = 2.5;

/**
 * Whether the pool has lately heard of this agent, and so may still count on it. A process that was stopped finds what it
 * was sent meanwhile after its timers have run: that it beats again does not make that its own. The pool's answer does.
 */
export class Pulse {
  readonly #clock: Clock;
  #intervalMs = 0;
  #beatAt = Number.NEGATIVE_INFINITY;
  #silences = 0;
  /** So many of them the pool was asked after. */
  #askedAfter = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** In milliseconds. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** How often it was silent for too long. */
  get silences(): number {
    return this.#silences;
  }

  get isHeard(): boolean {
    return this.#askedAfter === this.#silences && !this.#isSilent;
  }

  get #isSilent(): boolean {
    return this.#clock.monotonic() - this.#beatAt >= BEATS_MISSED * this.#intervalMs;
  }

  /** The pool has taken it in, and wants to hear from it so often. */
  begin(intervalMs: number): void {
    this.#intervalMs = intervalMs;
    this.#beatAt = this.#clock.monotonic();
  }

  /** A heartbeat goes out now. */
  beat(): void {
    if (this.#isSilent) this.#silences++;
    this.#beatAt = this.#clock.monotonic();
  }

  /** The pool has said what is this agent's, asked after so many silences. */
  answered(silences: number): void {
    this.#askedAfter = Math.max(this.#askedAfter, silences);
  }
}
