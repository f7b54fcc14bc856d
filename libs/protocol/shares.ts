import { describePrincipal, type Principal } from './principal.ts';

/** What one caller holds. */
export interface Share {
  /** A principal; of callers without a token their connection, as far as it can be told. */
  readonly name: string;
  readonly isAnonymous: boolean;
  held: number;
}

/** How many places one caller may have: of `limit` in all, of which `free` are left. */
export type MostOfOne = (limit: number, free: number) => number;

/** For what lasts. */
export const aQuarter: MostOfOne = (limit) => Math.max(1, Math.floor(limit / 4));

/**
 * For what is soon over: twice as many as are left. So one who is alone may have two thirds, two who want all there is two
 * fifths each, and however many there are of them, there are places left for who comes with little (Choudhury and Hahne,
 * "Dynamic queue length thresholds for shared-memory packet switches", 1998).
 */
export const twiceTheRest: MostOfOne = (_, free) => 2 * free;

/** All who have no token together may have this part: names of connections are easily made up. */
const PART_OF_ANONYMOUS = 1 / 2;

/** Callers are remembered, since finding out a name takes longer than counting; beyond so many only those who hold something. */
const MOST_NAMES = 10_000;

/** Places for calls, and how they are shared out to callers. */
export class Shares {
  readonly #limit: number;
  readonly #mostOfOne: MostOfOne;
  readonly #what: string;
  /** By name: of all who hold something, and of others who were here. */
  readonly #named = new Map<string, Share>();
  /** The same by principal, which is the same object as long as its token is. */
  #known = new WeakMap<Principal, Share>();
  /** Who was asked for last: a crowd of calls is of few callers, one after the other. */
  #lastPrincipal: Principal | undefined;
  #lastShare: Share | undefined;
  #taken = 0;
  #anonymous = 0;

  /** `what` has the places, in the plural, e.g. `requests`. */
  constructor(limit: number, mostOfOne: MostOfOne, what: string) {
    this.#limit = limit;
    this.#mostOfOne = mostOfOne;
    this.#what = what;
  }

  /** Are so many places taken that somebody may be refused one? */
  get areShort(): boolean {
    return this.#taken * 4 >= this.#limit;
  }

  /** Whose place the next one would be, which is to be taken in the same turn. `connection` tells callers without a token apart. */
  of(principal: Principal, connection: () => string): Share {
    if (principal === this.#lastPrincipal && this.#lastShare) return this.#lastShare;
    if (principal.kind === 'anonymous') return this.#shareOf(connection(), true);
    let share = this.#known.get(principal);
    if (!share) {
      share = this.#shareOf(nameOf(principal), false);
      this.#known.set(principal, share);
    }
    this.#lastPrincipal = principal;
    this.#lastShare = share;
    return share;
  }

  /**
   * Why there is no place for it: what there is too much of, e.g. `12 requests of swarm:code, which is the limit of one caller
   * while 6 places are left`. `free`: the places that are left, where others than these callers take them, too.
   */
  excess({ name, isAnonymous, held }: Share, free = this.#limit - this.#taken): string | undefined {
    if (free <= 0) return `${this.#limit} ${this.#what}, which is its limit`;
    if (held >= this.#mostOfOne(this.#limit, free)) {
      const who = isAnonymous ? `an anonymous caller (${name})` : name;
      return `${held} ${this.#what} of ${who}, which is the limit of one caller while ${free} places are left`;
    }
    const most = Math.max(1, Math.floor(this.#limit * PART_OF_ANONYMOUS));
    if (!isAnonymous || this.#anonymous < most) return undefined;
    return `${most} ${this.#what} without a token, which is the limit of all of them; send a token`;
  }

  take(share: Share): void {
    share.held++;
    this.#taken++;
    if (share.isAnonymous) this.#anonymous++;
  }

  giveBack(share: Share): void {
    share.held--;
    this.#taken--;
    if (share.isAnonymous) this.#anonymous--;
  }

  #shareOf(name: string, isAnonymous: boolean): Share {
    const known = this.#named.get(name);
    if (known) return known;
    if (this.#named.size >= Math.max(MOST_NAMES, 2 * this.#taken)) this.#forgetIdle();
    const share = { name, isAnonymous, held: 0 };
    this.#named.set(name, share);
    return share;
  }

  #forgetIdle(): void {
    for (const { name, held } of this.#named.values()) if (held === 0) this.#named.delete(name);
    this.#known = new WeakMap();
    this.#lastPrincipal = undefined;
  }
}

/** With the key: two may ask for one free name. */
const nameOf = (principal: Principal): string =>
  'key' in principal ? `${describePrincipal(principal)} ${principal.key}` : describePrincipal(principal);
