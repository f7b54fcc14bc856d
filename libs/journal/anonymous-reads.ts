import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Waiting } from './group.ts';

/** A record that only anonymous readers want is written at most this often, in ms: so much longer they may wait. */
const GAP_MS = 20;
/** Anonymous readers that may wait; more are refused. */
const MAX_WAITING = 1000;

/**
 * Linearizable reads of callers without a token. Each group that somebody waits for is a record, so whoever asks without
 * end would fill the stream; nobody knows who that is, so it cannot be forbidden to him alone. Hence anonymous readers
 * go with the groups of others, and have a group of their own only every so often, however many they are.
 */
export class AnonymousReads {
  readonly #clock: Clock;
  readonly #due: () => void;
  #waiting: Waiting[] = [];
  /** When they had a group of their own last. */
  #lastAt = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;

  /** `due` is called when they want a group of their own. */
  constructor(clock: Clock, due: () => void) {
    this.#clock = clock;
    this.#due = due;
  }

  get size(): number {
    return this.#waiting.length;
  }

  static isOne({ kind, call }: Waiting): boolean {
    return kind === 'query' && call.principal.kind === 'anonymous';
  }

  add(waiting: Waiting): void {
    if (this.#waiting.length >= MAX_WAITING) waiting.settle({ error: tooMany() });
    else this.#waiting.push(waiting);
  }

  /** Those who go with the next group: all with a group of others, none while it is not time for one of their own. */
  take(withOthers: boolean): readonly Waiting[] {
    if (this.#waiting.length === 0) return [];
    if (!withOthers && !this.#isTime()) return [];
    return this.takeAll();
  }

  takeAll(): readonly Waiting[] {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    return this.#waiting.splice(0);
  }

  #isTime(): boolean {
    const now = this.#clock.monotonic();
    const leftMs = this.#lastAt + GAP_MS - now;
    if (leftMs <= 0) {
      this.#lastAt = now;
      return true;
    }
    this.#timer ??= this.#clock.after(leftMs, () => {
      this.#timer = undefined;
      this.#due();
    });
    return false;
  }
}

const tooMany = (): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${MAX_WAITING} linearizable reads without a token wait already; send a token`, {
    retryable: true,
    retryAfterMs: 100,
    reason: 'QUEUE_FULL',
  });
