import type { Clock } from '../kernel/clock.ts';

/** A server that has said nothing for so long, in ms, is asked for; then after twice that, */
const FIRST_MS = 250;
/** up to so long: a stream on which little happens costs next to nothing. */
const LAST_MS = 2000;
/** So long after all were asked because one server was gone, in ms, another one that is gone is no reason. */
const AT_ONCE_MS = 100;

/**
 * When a stream's server is asked whether it lives. One that is killed says nothing, and on the bus that looks like a stream on
 * which nothing happens; who asks is told at once that nobody listens there. While items come nobody needs to ask.
 */
export class StreamProbe implements Disposable {
  readonly #clock: Clock;
  readonly #ask: () => void;
  #waitMs = FIRST_MS;
  #heard = false;
  #timer: Disposable;

  constructor(clock: Clock, ask: () => void) {
    this.#clock = clock;
    this.#ask = ask;
    this.#timer = this.#later();
  }

  /** An item came. */
  heard(): void {
    this.#heard = true;
    if (this.#waitMs === FIRST_MS) return; // it is looked at soon
    this.#waitMs = FIRST_MS;
    this.#timer[Symbol.dispose]();
    this.#timer = this.#later();
  }

  askNow(): void {
    this.#ask();
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }

  #later(): Disposable {
    return this.#clock.after(this.#waitMs, () => {
      if (!this.#heard) {
        this.#waitMs = Math.min(2 * this.#waitMs, LAST_MS);
        this.#ask();
      }
      this.#heard = false;
      this.#timer = this.#later();
    });
  }
}

/** Of all streams of a client. When the server of one is gone, others may have been its, too. */
export class StreamProbes {
  readonly #clock: Clock;
  readonly #probes = new Set<StreamProbe>();
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(probe: StreamProbe): void {
    this.#probes.add(probe);
  }

  delete(probe: StreamProbe): void {
    probe[Symbol.dispose]();
    this.#probes.delete(probe);
  }

  /** Asks for the servers of all the others at once. */
  oneIsGone(): void {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#askedAtMs < AT_ONCE_MS) return;
    this.#askedAtMs = nowMs;
    for (const probe of this.#probes) probe.askNow();
  }
}
