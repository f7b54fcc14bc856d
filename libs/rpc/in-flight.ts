import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { describePrincipal, type Principal } from '../protocol/principal.ts';

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

/** Whose something is. */
export interface Holder {
  /** A principal; of callers without a token their connection, as far as it can be told. */
  readonly name: string;
  readonly isAnonymous: boolean;
}

/** `connection` tells callers without a token apart. */
export function holderOf(principal: Principal, connection: string): Holder {
  const isAnonymous = principal.kind === 'anonymous';
  if (isAnonymous) return { name: `an anonymous caller (${connection})`, isAnonymous };
  const key = 'key' in principal ? principal.key : '';
  return { name: `${describePrincipal(principal)} ${key}`.trimEnd(), isAnonymous };
}

/** Of all places one holder may have this share, */
const SHARE_OF_ONE = 1 / 4;
/** and all who have no token together this one: names of connections are easily made up. */
const SHARE_OF_ANONYMOUS = 1 / 2;

/** What a server is working on: bounded, swept for deadlines by one timer, and waited for when it stops. */
export class InFlight<R extends Running> {
  readonly #running = new Map<R, Holder | undefined>();
  /** Places by holder's name. */
  readonly #held = new Map<string, number>();
  #anonymous = 0;
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

  has(entry: R): boolean {
    return this.#running.has(entry);
  }

  /** Throws RESOURCE_EXHAUSTED, retryable, when there is too much of it, or `holder` has its share already. */
  add(entry: R, holder?: Holder): void {
    if (this.#running.size >= this.#limit) throw overloaded(`${this.#limit} requests, which is its limit`);
    if (holder) this.#hold(holder);
    this.#running.set(entry, holder);
    if (!this.#sweeping && entry.deadline !== Number.POSITIVE_INFINITY) this.#sweepLater();
  }

  /** False when it was taken out already: somebody else answers it. */
  remove(entry: R): boolean {
    const holder = this.#running.get(entry);
    const removed = this.#running.delete(entry);
    if (holder) this.#letGo(holder);
    if (removed && this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
    return removed;
  }

  /** Resolves when nothing is running; what still is after `graceMs` is ended with `error`. */
  async drain(graceMs: number, error: HiveError): Promise<void> {
    if (this.#running.size === 0) return;
    using _ = this.#clock.after(graceMs, () => {
      for (const entry of [...this.#running.keys()]) entry.end(error);
    });
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  endStreams(error: HiveError): void {
    for (const entry of [...this.#running.keys()]) if (entry.streams) entry.end(error);
  }

  #hold({ name, isAnonymous }: Holder): void {
    const held = this.#held.get(name) ?? 0;
    const [mine, theirs] = [this.#share(SHARE_OF_ONE), this.#share(SHARE_OF_ANONYMOUS)];
    if (held >= mine) throw overloaded(`${held} requests of ${name}, which is the limit of one caller`);
    if (isAnonymous && this.#anonymous >= theirs) {
      throw overloaded(`${theirs} requests without a token, which is the limit of all of them; send a token`);
    }
    this.#held.set(name, held + 1);
    if (isAnonymous) this.#anonymous++;
  }

  #letGo({ name, isAnonymous }: Holder): void {
    const held = this.#held.get(name) ?? 0;
    if (held > 1) this.#held.set(name, held - 1);
    else this.#held.delete(name);
    if (isAnonymous) this.#anonymous--;
  }

  #share(of: number): number {
    return Math.max(1, Math.floor(this.#limit * of));
  }

  #sweepLater(): void {
    this.#sweeping = true;
    this.#clock.after(SWEEP_MS, () => {
      this.#sweeping = false;
      const now = this.#clock.monotonic();
      let some = false;
      for (const entry of [...this.#running.keys()]) {
        if (entry.deadline <= now) entry.end(tooLate());
        else some ||= entry.deadline !== Number.POSITIVE_INFINITY;
      }
      if (some && !this.#sweeping) this.#sweepLater();
    });
  }
}

const overloaded = (what: string): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `this server is working on ${what}: try again`, {
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
