import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { type Share, Shares, twiceTheRest } from '../protocol/shares.ts';
import type { Waiting } from './group.ts';

/** New work that waits has at most this share of the places. */
const SHARE_OF_NEW = 1 / 2;
/** Every so manieth that is taken is new work, however much else there is: nobody can keep it out for ever. */
const TURN_OF_NEW = 32;
/** New work is decided for so long in one group, in ms: what ends work and came meanwhile has the next one. */
const NEW_PER_GROUP_MS = 20;
/** New work that has waited longer when a group is full, in ms, is late, */
const LATE_MS = 500;
/** and when that has been so for this long, in ms, more comes than can be done. A stall, or a burst, is over by then. */
const BEHIND_AFTER_MS = 1000;
/** So long it is remembered that more came than could be done, in ms: then it is so again as soon as something is late. */
const REMEMBERED_MS = 10_000;

/**
 * What waits for a leader's next group, in two lanes. What brings new work waits behind everything else: reports, claims,
 * cancels, renewals, reads and ticks end work or keep it going, and make the room that new work waits for. So a service that
 * is asked for too much gets on with what it has taken in, and what it refuses it refuses before it has waited.
 *
 * Too much is told by time, as CoDel does (Nichols and Jacobson, 2012): a queue that is long for a moment is a burst, or a
 * journal that could not be reached for a while, and is worked off. One in which the first has waited too long, group
 * after group, will never be: then new work is refused until it is short again.
 *
 * Of each lane's places nobody waits for more than twice what is left (`shares.ts`), however many sessions and replicas he
 * asks by: so he who fills the queue is refused, and others find a place. The service's own commands are not counted so.
 */
export class Lanes {
  readonly #clock: Clock;
  readonly #service: string;
  readonly #maxWaiting: number;
  readonly #isNew: ReadonlySet<string>;
  readonly #mostNew: number;
  readonly #fast = new Fifo<Place>();
  readonly #new = new Fifo<Place & { readonly sinceMs: number }>();
  /** Of callers, in either lane. */
  readonly #fastShares: Shares;
  readonly #newShares: Shares;
  #sinceNew = 0;
  #lateSinceMs: number | undefined;
  #behindAtMs = Number.NEGATIVE_INFINITY;

  /** `isNew`: names of the commands that bring new work. `maxWaiting`: places of both lanes. */
  constructor(clock: Clock, service: string, isNew: ReadonlySet<string>, maxWaiting: number) {
    this.#clock = clock;
    this.#service = service;
    this.#isNew = isNew;
    this.#maxWaiting = maxWaiting;
    this.#mostNew = Math.ceil(maxWaiting * SHARE_OF_NEW);
    this.#fastShares = new Shares(maxWaiting, twiceTheRest, 'commands');
    this.#newShares = new Shares(this.#mostNew, twiceTheRest, 'commands');
  }

  get size(): number {
    return this.#fast.size + this.#new.size;
  }

  /** Takes one in, or says why not. */
  add(waiting: Waiting): HiveError | undefined {
    if (waiting.kind === 'command' && this.#isNew.has(waiting.name)) return this.#addNew(waiting);
    const free = this.#maxWaiting - this.size;
    if (free <= 0) return queueFull(this.#service, `${this.#maxWaiting} commands`);
    const share = this.#fastShares.of(waiting.call.principal, unknownConnection);
    const refusal = this.#refusal(waiting, this.#fastShares.excess(share, free));
    if (refusal) return refusal;
    this.#fastShares.take(share);
    this.#fast.push({ waiting, share });
    return undefined;
  }

  /** Gives `take` one after the other, until it wants no more (false) or new work has had its time. */
  gather(take: (waiting: Waiting) => boolean): void {
    let newUntilMs: number | undefined;
    const hasTime = (): boolean => {
      const nowMs = this.#clock.monotonic();
      newUntilMs ??= nowMs + NEW_PER_GROUP_MS;
      return nowMs <= newUntilMs;
    };
    while (this.size > 0) {
      const isNew = this.#isTurnOfNew && hasTime();
      const next = isNew ? this.#new.first : this.#fast.first;
      if (!next || !take(next.waiting)) break;
      if (isNew) this.#new.shift();
      else this.#fast.shift();
      (isNew ? this.#newShares : this.#fastShares).giveBack(next.share);
      this.#sinceNew = isNew ? 0 : this.#sinceNew + 1;
    }
    this.#judge();
  }

  /** Empties both. */
  takeAll(): readonly Waiting[] {
    this.#lateSinceMs = undefined;
    const [fast, fresh] = [this.#fast.takeAll(), this.#new.takeAll()];
    for (const { share } of fast) this.#fastShares.giveBack(share);
    for (const { share } of fresh) this.#newShares.giveBack(share);
    return [...fast, ...fresh].map(({ waiting }) => waiting);
  }

  #addNew(waiting: Waiting): HiveError | undefined {
    if (this.#new.size >= this.#mostNew) return queueFull(this.#service, `${this.#mostNew} commands`);
    const nowMs = this.#clock.monotonic();
    if (this.#isBehind(nowMs)) return behind(this.#service, this.#waitedMs(nowMs));
    const share = this.#newShares.of(waiting.call.principal, unknownConnection);
    const refusal = this.#refusal(waiting, this.#newShares.excess(share));
    if (refusal) return refusal;
    this.#newShares.take(share);
    this.#new.push({ waiting, share, sinceMs: nowMs });
    return undefined;
  }

  /** A tick, an observation or the end of an effect is not refused for how many of them there are. */
  #refusal({ call }: Waiting, excess: string | undefined): HiveError | undefined {
    return excess === undefined || call.principal.kind === 'service' ? undefined : queueFull(this.#service, excess);
  }

  get #isTurnOfNew(): boolean {
    return this.#fast.size === 0 || (this.#new.size > 0 && this.#sinceNew >= TURN_OF_NEW - 1);
  }

  /** After a group: is what it left late? */
  #judge(): void {
    if (this.#new.size === 0) {
      this.#lateSinceMs = undefined;
      return;
    }
    const nowMs = this.#clock.monotonic();
    if (this.#waitedMs(nowMs) <= LATE_MS) this.#lateSinceMs = undefined;
    else this.#lateSinceMs ??= nowMs;
  }

  #isBehind(nowMs: number): boolean {
    if (this.#lateSinceMs === undefined) return false;
    const isAgain = nowMs - this.#behindAtMs < REMEMBERED_MS;
    if (!isAgain && nowMs - this.#lateSinceMs < BEHIND_AFTER_MS) return false;
    this.#behindAtMs = nowMs;
    return true;
  }

  #waitedMs(nowMs: number): number {
    const first = this.#new.first;
    return first ? nowMs - first.sinceMs : 0;
  }
}

/** What waits, and whose place it has. */
interface Place {
  readonly waiting: Waiting;
  readonly share: Share;
}

/** Reads without a token are forwarded without their connection: they are one caller here. */
const unknownConnection = (): string => 'its connection is not known here';

/** First in, first out. */
class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): void {
    if (this.size === 0) return;
    this.#head++;
    if (this.#head === this.#items.length || this.#head > 8192) this.#items = this.takeAll();
  }

  takeAll(): T[] {
    const items = this.#items.slice(this.#head);
    this.#items = [];
    this.#head = 0;
    return items;
  }
}

const queueFull = (service: string, what: string): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${service} has too much waiting: ${what}; try again later`, {
    retryable: true,
    retryAfterMs: 100,
    reason: 'QUEUE_FULL',
  });

const behind = (service: string, waitedMs: number): HiveError => {
  const afterMs = Math.ceil(waitedMs / 100) * 100;
  const message = `${service} gets more new work than it can take: what is next has waited ${afterMs} ms; try again then`;
  return new HiveError('RESOURCE_EXHAUSTED', message, {
    ...{ retryable: true, retryAfterMs: afterMs, reason: 'BEHIND' },
  });
};
