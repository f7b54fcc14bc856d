import type { Table } from '../../../libs/kernel/table.ts';
import type { LimitsRow, ShareRow } from './rows.ts';

/**
 * Weighted fair sharing of lent agents between swarms: start-time fair queueing (Goyal, Vin, Cheng: Start-time Fair
 * Queuing, 1996), with a lease's time as its cost.
 *
 * Each swarm has a tag: the virtual time up to which it has been served. Whoever has the smallest is served next, and
 * moves on by the cost over its weight. The virtual time of the whole is the tag of whoever was served last; a swarm that
 * had not asked for a while starts there, so it neither hoards what it did not use nor is made to wait for it. A swarm
 * that floods the queue only moves its own tag.
 *
 * A lease costs its term when it is granted and at each renewal, and is given back what is left of it at its end. Tags
 * are integers: milliseconds of agents' time at weight 1000.
 */

/** Where the virtual time of the whole is kept; no swarm has this name. */
const WHOLE = '*';
const FULL_WEIGHT = 1000;
/** Rows of swarms that others have overtaken say nothing any more; they are dropped when there are so many. */
const MAX_ROWS = 256;

export class FairShare {
  readonly #served: Pick<Table<ShareRow>, 'get' | 'set'>;
  readonly #limits: Pick<Table<LimitsRow>, 'get'>;

  constructor(served: Pick<Table<ShareRow>, 'get' | 'set'>, limits: Pick<Table<LimitsRow>, 'get'>) {
    this.#served = served;
    this.#limits = limits;
  }

  /** Who has a smaller one is served first. */
  tag(swarm: string): number {
    return Math.max(this.#at(WHOLE), this.#at(swarm));
  }

  /** A lease was granted. */
  grant(swarm: string, termMs: number): void {
    const start = this.tag(swarm);
    this.#served.set(WHOLE, { served: start });
    this.#served.set(swarm, { served: start + this.#cost(swarm, termMs) });
  }

  /** A lease takes longer than it has cost, or shorter: then `ms` is negative. */
  prolong(swarm: string, ms: number): void {
    this.#served.set(swarm, { served: Math.max(0, this.#at(swarm) + this.#cost(swarm, ms)) });
  }

  #at(swarm: string): number {
    return this.#served.get(swarm)?.served ?? 0;
  }

  #cost(swarm: string, ms: number): number {
    return Math.trunc((ms * FULL_WEIGHT) / (this.#limits.get(swarm)?.weight || FULL_WEIGHT));
  }
}

/** Drops what says nothing any more, once it is much. The same on every replica, since it follows from the rows. */
export function sweepShares(shares: Table<ShareRow>): void {
  if (shares.size <= MAX_ROWS) return;
  const whole = shares.get(WHOLE)?.served ?? 0;
  const stale = [...shares.entries()].filter(([swarm, { served }]) => swarm !== WHOLE && served <= whole);
  for (const [swarm] of stale) shares.delete(swarm);
}

/** The shares as they will be: reads the table, keeps its own changes. */
export function planned(shares: Table<ShareRow>): Pick<Table<ShareRow>, 'get' | 'set'> {
  const changed = new Map<string, ShareRow>();
  return {
    get: (swarm) => changed.get(swarm) ?? shares.get(swarm),
    set: (swarm, row) => void changed.set(swarm, row),
  };
}
