import type { Choice } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { Wish } from './need.ts';
import type { Ranked } from './ranked.ts';
import type { PoolState } from './state.ts';
import type { Spot, Worker } from './workers.ts';

/** An agent that could be chosen. */
interface Candidate {
  readonly spot: Spot;
  readonly score: number;
  /** The rest of its class, of which it is the first; undefined when it was considered by itself. */
  readonly free: Ranked<Worker> | undefined;
}

/**
 * The best few of those that could be chosen, and how many they are in all. The first is the one that is chosen; what
 * comes after is kept with it, so that "why this one?" can be answered later from what was compared then.
 *
 * Classes are considered by their first agents alone. Whoever is among the best n of all belongs to one of the n best
 * classes, so the others of these are looked at in the end (`complete`), and only when more than the first is wanted.
 */
export class Shortlist {
  readonly #size: number;
  readonly #wish: Wish;
  readonly #avoid: string;
  /** Best first; at most `#size`. */
  readonly #best: Candidate[] = [];
  #candidates = 0;
  /** Whoever has less is not among the best. */
  least = 0;

  /** `avoid`: the agent that all others go before; empty = none. */
  constructor(size: number, wish: Wish, avoid = '') {
    this.#size = size;
    this.#wish = wish;
    this.#avoid = avoid;
  }

  get first(): Spot | undefined {
    return this.#best[0]?.spot;
  }

  /** `free`: its class, of which it is the first. True when it is among the best so far. */
  consider(spot: Spot, score: number, free?: Ranked<Worker>): boolean {
    if (score < this.least) return false;
    const best = this.#best;
    let place = best.length;
    for (; place > 0; place--) {
      const other = best[place - 1] as Candidate;
      if (!this.#isBefore(spot, score, other)) break;
      if (place < this.#size) best[place] = other;
    }
    if (place === this.#size) return false;
    best[place] = { spot, score, free };
    const last = best[this.#size - 1];
    this.least = last && !this.#isAvoided(last.spot) ? last.score : 0;
    return true;
  }

  /** There are so many `candidates` in all. Looks at the others of the best classes, without those in `except`. */
  complete(candidates: number, except: Pick<ReadonlyMap<string, unknown>, 'has'>): void {
    this.#candidates = candidates;
    if (this.#size < 2) return;
    for (const { spot: first, score, free } of [...this.#best]) {
      if (!free || this.#isBeyond(free, first, score)) continue;
      for (const worker of free.inOrder()) {
        if (worker === first || except.has(worker.row.key)) continue;
        if (!this.consider(worker, score - first.rank + worker.rank)) break;
      }
    }
  }

  /** What is kept of it, with `chosen` first. */
  choice(state: PoolState, chosen: Spot, waiting = 0): Choice {
    const best = [this.#candidate(chosen, state)];
    for (const { spot } of this.#best) {
      if (best.length === this.#size) break;
      if (spot !== chosen && spot.row.key !== chosen.row.key) best.push(this.#candidate(spot, state));
    }
    return { candidates: this.#candidates, best, policyVersion: state.scoring.version, waiting };
  }

  /** None but the first of its class is among the best: mostly so, and sooner seen than by going through them in order. */
  #isBeyond(free: Ranked<Worker>, first: Spot, score: number): boolean {
    if (free.first !== first) return false;
    const { second } = free;
    return !second || score - first.rank + second.rank < this.least;
  }

  #candidate(spot: Spot, { scoring, measures }: PoolState): Choice['best'][number] {
    const { key } = spot.row;
    return { agent: key, points: scoring.points(spot, this.#wish, measures.get(key)), avoided: this.#isAvoided(spot) };
  }

  #isAvoided({ row }: Spot): boolean {
    return this.#avoid !== '' && row.key === this.#avoid;
  }

  #isBefore(spot: Spot, score: number, other: Candidate): boolean {
    const avoided = Number(this.#isAvoided(spot)) - Number(this.#isAvoided(other.spot));
    if (avoided !== 0) return avoided < 0;
    return score === other.score ? spot.row.key < other.spot.row.key : score > other.score;
  }
}
