import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';

/** A round of addresses in vain doubles the patience up to here, in milliseconds. */
const MAX_OPENING_MS = 60_000;

/**
 * How long a session waits for the first message of a stream. Calls may rightly wait long, but a living pool answers an
 * opening at once, also while it elects: it only says that the stream has begun. Who says nothing hangs, or is no pool,
 * and the next address is tried. Where all are merely slow, a patience that stays the same would give all of them up for
 * ever, so it doubles with each round in which every address was silent.
 */
export class SessionOpenings {
  readonly #clock: Clock;
  readonly #openingMs: number;
  readonly #addresses: number;
  /** Openings that were given up since one was answered. */
  #givenUp = 0;

  /** `openingMs` is the patience to begin with, `addresses` how many there are in a round. */
  constructor(clock: Clock, openingMs: number, addresses: number) {
    this.#clock = clock;
    this.#openingMs = openingMs;
    this.#addresses = addresses;
  }

  /** Of the next opening, in milliseconds. */
  get patienceMs(): number {
    const rounds = Math.floor(this.#givenUp / this.#addresses);
    return Math.min(this.#openingMs * 2 ** rounds, Math.max(this.#openingMs, MAX_OPENING_MS));
  }

  /** Waits for an answer of `address`; `giveUp` is called when there is none in time. */
  wait(address: string, giveUp: () => void): Opening {
    const ms = this.patienceMs;
    const late = () => {
      if (opening.isOver) return;
      this.#givenUp++;
      const message = `${address} did not answer the session's opening within ${ms} ms`;
      opening.giveUp(new HiveError('UNAVAILABLE', `${message}; does the process there hang, or is it no pool?`));
      giveUp();
    };
    const answered = () => {
      this.#givenUp = 0;
    };
    // What has arrived already is read first: this process may have stood still itself.
    const opening = new Opening(
      this.#clock.after(ms, () => this.#clock.defer(late)),
      answered,
    );
    return opening;
  }
}

/** One stream's. */
export class Opening implements Disposable {
  readonly #timer: Disposable;
  readonly #answered: () => void;
  #isOver = false;
  #error: HiveError | undefined;

  constructor(timer: Disposable, answered: () => void) {
    this.#timer = timer;
    this.#answered = answered;
  }

  /** It was answered, given up or left. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Why it was given up, if it was. */
  get error(): HiveError | undefined {
    return this.#error;
  }

  giveUp(error: HiveError): void {
    this.#error = error;
    this.#isOver = true;
  }

  answered(): void {
    this.#answered();
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#timer[Symbol.dispose]();
  }
}
