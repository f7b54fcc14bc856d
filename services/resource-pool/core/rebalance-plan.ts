/**
 * Which agents of one type should go from which swarm to which, so that the utilisation of swarms (tasks that run or
 * wait, as a share of slots) is within a band: as little as can be is left over the band, by the fewest moves.
 *
 * Hysteresis keeps agents from going to and fro. Only a swarm above `high` takes, and no more than brings it there, and
 * never so much that it is below `low`; whoever gives stays below `high` by a reserve. So the load must change by the
 * reserve before a giver takes, and by the band before a taker gives. A swarm below `low` is left alone when nobody is
 * above `high`: to move idle agents about helps nobody.
 *
 * Exact by branch and bound: the swarms that take are served one after the other, each by agents in a fixed order of
 * kinds, the emptiest giver first; a branch is left when it cannot be better than the best so far. Where agents have as
 * many slots each and may go anywhere the first leaf meets the lower bound and the search ends at once. It is bounded;
 * what it has found by then is told as not proved to be the fewest.
 */

/** A swarm, as to one type of agent. */
export interface Party {
  readonly swarm: string;
  /** Tasks that run or wait. */
  readonly demand: number;
  readonly slots: number;
  /** How many agents it may give away, and take. */
  readonly mayGive: number;
  readonly mayTake: number;
}

/** Agents of one swarm that are alike here. */
export interface Kind {
  readonly from: string;
  /** Each has so many, 1 or more. */
  readonly slots: number;
  readonly count: number;
  /** The swarms that they may go to, and have work for them. */
  readonly to: ReadonlySet<string>;
}

/** In percent of the slots. */
export interface Band {
  readonly low: number;
  readonly high: number;
  /** Whoever gives stays below `high` by so much. */
  readonly reserve: number;
}

export interface PlannedMove {
  readonly kind: Kind;
  readonly to: string;
}

export interface Balance {
  readonly moves: readonly PlannedMove[];
  /** Slots that the swarms above the band still lack. */
  readonly missing: number;
  /** No plan is better, and none as good has fewer moves. False: the search was given up. */
  readonly isProved: boolean;
}

/** Branches that are looked at, at most. */
const MAX_NODES = 20_000;
/** Moves of one plan, at most, or less if less is asked for; what is missing then is for the next. */
const MAX_MOVES = 256;

/** Slots that a demand needs so as to be at most `percent` of them. */
export const slotsFor = (demand: number, percent: number): number => Math.ceil((demand * 100) / percent);

export function planBalance(
  parties: readonly Party[],
  kinds: readonly Kind[],
  band: Band,
  most: number = MAX_MOVES,
): Balance {
  return new Search(parties, kinds, band, Math.min(most, MAX_MOVES)).best();
}

interface Taker {
  readonly swarm: string;
  /** Slots that it lacks. */
  need: number;
  /** Slots that it takes at most, or it would be below the band. */
  readonly room: number;
  /** Agents that it may still take. */
  agents: number;
}

interface Giver {
  /** Slots and agents that it may still give. */
  slots: number;
  agents: number;
}

class Search {
  readonly #takers: readonly Taker[];
  readonly #givers = new Map<string, Giver>();
  readonly #kinds: readonly Kind[];
  readonly #left: number[];
  readonly #moves: PlannedMove[] = [];
  readonly #leastMissing: number;
  readonly #leastMoves: number;
  #best: readonly PlannedMove[] = [];
  #missing: number;
  #nodes = 0;
  readonly #mostMoves: number;

  constructor(parties: readonly Party[], kinds: readonly Kind[], { low, high, reserve }: Band, mostMoves: number) {
    this.#mostMoves = mostMoves;
    const takers: Taker[] = [];
    const load = new Map(parties.map(({ swarm, demand, slots }) => [swarm, demand / Math.max(1, slots)]));
    for (const { swarm, demand, slots, mayGive, mayTake } of parties) {
      const need = slotsFor(demand, high) - slots;
      if (need > 0) takers.push({ swarm, need, room: Math.floor((demand * 100) / low) - slots, agents: mayTake });
      else this.#givers.set(swarm, { slots: slots - slotsFor(demand, high - reserve), agents: mayGive });
    }
    this.#takers = takers.sort((a, b) => b.need - a.need || (a.swarm < b.swarm ? -1 : 1));
    const givers = kinds.filter(({ from, slots }) => (this.#givers.get(from)?.slots ?? 0) >= slots);
    const byLoad = (a: Kind, b: Kind) => (load.get(a.from) ?? 0) - (load.get(b.from) ?? 0);
    const byName = (a: Kind, b: Kind) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0);
    this.#kinds = givers.sort((a, b) => b.slots - a.slots || byLoad(a, b) || byName(a, b));
    this.#left = this.#kinds.map(({ count }) => count);
    this.#missing = takers.reduce((sum, { need }) => sum + need, 0);
    const most = this.#kinds[0]?.slots ?? 1;
    const given = [...this.#givers.values()].reduce((sum, { slots }) => sum + Math.max(0, slots), 0);
    this.#leastMissing = Math.max(0, this.#missing - Math.min(given, mostMoves * most));
    this.#leastMoves = takers.reduce((sum, { need }) => sum + Math.ceil(need / most), 0);
  }

  best(): Balance {
    this.#visit(0, 0, 0);
    const isProved = this.#nodes < MAX_NODES || this.#isLeast();
    return { moves: this.#best, missing: this.#missing, isProved };
  }

  /** Serves the takers from `index` on, this one by kinds from `from` on; `missing` is what those before still lack. */
  #visit(index: number, from: number, missing: number): void {
    if (this.#nodes >= MAX_NODES || this.#isLeast()) return;
    this.#nodes++;
    const taker = this.#takers[index];
    if (!taker) return this.#settle(missing);
    if (missing > this.#missing) return;
    if (missing === this.#missing && this.#moves.length >= this.#best.length) return;
    if (taker.need <= 0) return this.#visit(index + 1, 0, missing);
    const last = this.#moves.length < this.#mostMoves ? this.#kinds.length : 0;
    for (let i = from; i < last; i++) this.#give(taker, i, index, missing);
    this.#visit(index + 1, 0, missing + taker.need);
  }

  #give(taker: Taker, i: number, index: number, missing: number): void {
    const kind = this.#kinds[i] as Kind;
    const giver = this.#givers.get(kind.from);
    const had = this.#left[i] ?? 0;
    if (
      !giver ||
      had === 0 ||
      giver.agents === 0 ||
      taker.agents === 0 ||
      giver.slots < kind.slots ||
      !kind.to.has(taker.swarm)
    )
      return;
    const taken = this.#moves.reduce((sum, move) => sum + (move.to === taker.swarm ? move.kind.slots : 0), 0);
    if (taken + kind.slots > taker.room) return;
    this.#change(taker, giver, i, kind.slots, -1);
    this.#moves.push({ kind, to: taker.swarm });
    this.#visit(index, i, missing);
    this.#moves.pop();
    this.#change(taker, giver, i, kind.slots, 1);
  }

  #change(taker: Taker, giver: Giver, i: number, slots: number, by: 1 | -1): void {
    taker.need += by * slots;
    giver.slots += by * slots;
    giver.agents += by;
    taker.agents += by;
    this.#left[i] = (this.#left[i] ?? 0) + by;
  }

  #settle(missing: number): void {
    const isBetter = missing < this.#missing || (missing === this.#missing && this.#moves.length < this.#best.length);
    if (!isBetter) return;
    this.#missing = missing;
    this.#best = [...this.#moves];
  }

  /** Nothing can be better than what was found. */
  #isLeast(): boolean {
    if (this.#missing === 0) return this.#best.length === this.#leastMoves;
    return this.#missing === this.#leastMissing && this.#isAllUsed();
  }

  /** All that may be given was, in agents as large as there are: what is missing cannot be less, nor by fewer moves. */
  #isAllUsed(): boolean {
    const most = this.#kinds[0]?.slots ?? 1;
    return this.#best.every(({ kind }) => kind.slots === most);
  }
}
