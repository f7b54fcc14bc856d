import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { SlotSet, type Slotted } from '../kernel/slot-set.ts';
import type { Principal } from '../protocol/principal.ts';
import { type MostOfOne, type Share, Shares } from '../protocol/shares.ts';

/** How often deadlines are looked at: a server's need not be exact, its client keeps its own. */
const SWEEP_MS = 50;

export interface Running extends Slotted {
  /** By the clock's `monotonic`. */
  readonly deadline: number;
  /** Goes on until somebody ends it. */
  readonly streams: boolean;
  /** Whose place it has. */
  readonly share: Share;
  /** Must see to it that it is answered and taken out. */
  end(error: HiveError): void;
}

/** What a server is working on: bounded, shared out to callers, swept for deadlines by one timer, and waited for when it stops. */
export class InFlight<R extends Running> {
  readonly #running = new SlotSet<R>();
  readonly #shares: Shares;
  readonly #clock: Clock;
  #sweeping = false;
  #idle: (() => void)[] = [];

  constructor(clock: Clock, limit: number, mostOfOne: MostOfOne) {
    this.#clock = clock;
    this.#shares = new Shares(limit, mostOfOne, 'requests');
  }

  get size(): number {
    return this.#running.size;
  }

  has(entry: R): boolean {
    return this.#running.has(entry);
  }

  /** May somebody be refused now? While not, `refusal` need not be asked for. */
  get isCrowded(): boolean {
    return this.#shares.areShort;
  }

  /** What the caller would be refused with, if he would. */
  refusal(caller: Principal, connection: () => string): HiveError | undefined {
    return this.#refusal(this.#shares.of(caller, connection));
  }

  /**
   * Room for one more, to be added in the same turn. Throws RESOURCE_EXHAUSTED, retryable, when there is too much of it, or
   * the caller has his share already. `connection` tells callers without a token apart.
   */
  room(caller: Principal, connection: () => string): Share {
    const share = this.#shares.of(caller, connection);
    const refusal = this.#refusal(share);
    if (refusal) throw refusal;
    return share;
  }

  add(entry: R): void {
    this.#shares.take(entry.share);
    this.#running.add(entry);
    if (!this.#sweeping && entry.deadline !== Number.POSITIVE_INFINITY) this.#sweepLater();
  }

  /** False when it was taken out already: somebody else answers it. */
  remove(entry: R): boolean {
    if (!this.#running.delete(entry)) return false;
    this.#shares.giveBack(entry.share);
    if (this.#running.size === 0 && this.#idle.length > 0) for (const resolve of this.#idle.splice(0)) resolve();
    return true;
  }

  /** Resolves when nothing is running; what still is after `graceMs` is ended with `error`. */
  async drain(graceMs: number, error: HiveError): Promise<void> {
    if (this.#running.size === 0) return;
    using _ = this.#clock.after(graceMs, () => {
      for (const entry of this.#running.all()) entry.end(error);
    });
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  endStreams(error: HiveError): void {
    for (const entry of this.#running.all()) if (entry.streams) entry.end(error);
  }

  #refusal(share: Share): HiveError | undefined {
    const excess = this.#shares.excess(share);
    return excess === undefined ? undefined : overloaded(excess);
  }

  #sweepLater(): void {
    this.#sweeping = true;
    this.#clock.after(SWEEP_MS, () => {
      this.#sweeping = false;
      const now = this.#clock.monotonic();
      let some = false;
      for (const entry of this.#running.all()) {
        if (entry.deadline <= now) entry.end(tooLate());
        else some ||= entry.deadline !== Number.POSITIVE_INFINITY;
      }
      if (some && !this.#sweeping) this.#sweepLater();
    });
  }
}

const overloaded = (excess: string): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `this server is working on ${excess}: try again`, {
    retryable: true,
    retryAfterMs: 20,
    reason: 'OVERLOADED',
  });

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
