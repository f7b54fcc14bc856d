import type { FairShare } from './fair-share.ts';
import { meets, type Need, needKey, type Offer, type Wanted, type Wish, wishOf } from './need.ts';
import { type Placed, Ranked } from './ranked.ts';
import type { RequestRow } from './rows.ts';
import { DEFAULT_AGEING_MS } from './score.ts';

/** What agents of other swarms could serve: a request, or a task that they may take. */
export interface Asks {
  readonly id: string;
  readonly wish: Wanted & {
    readonly type: string;
    readonly lender: string;
    readonly priority: number;
    readonly termMs: number;
  };
  readonly queuedAt: number;
  readonly order: number;
}

/** One that waits, as the allocator sees it. */
export interface Asking<Row extends Asks = Asks> extends Placed {
  readonly row: Row;
  readonly wish: Wish;
}

/** Requests that the same agents could serve, by who asks. */
interface Line<Row extends Asks> {
  readonly need: Need;
  readonly lender: string;
  readonly bySwarm: Map<string, Ranked<Asking<Row>>>;
}

/**
 * Waiting requests by what would unblock them: the type, and there what the agent must be able to do and whose it must
 * be. So an agent that becomes free is shown only to the lines that it fits, and in each to the first request of every
 * swarm; between swarms the fair share decides (fair-share.ts). Derived from the rows of requests.
 */
export class Requests<Row extends Asks = RequestRow> {
  readonly #types = new Map<string, Map<string, Line<Row>>>();
  readonly #waiting = new Map<string, Asking<Row>>();

  #ageingMs = DEFAULT_AGEING_MS;

  get size(): number {
    return this.#waiting.size;
  }

  /** Of one swarm's: priority ages as that of tasks does, see queue.ts. */
  readonly #goesFirst = (a: Asking, b: Asking): boolean => {
    const start = (asking: Asking) => asking.row.queuedAt - asking.row.wish.priority * this.#ageingMs;
    const difference = start(a) - start(b);
    return difference === 0 ? a.row.order < b.row.order : difference < 0;
  };

  /** A point of priority is worth so much waiting from now on. */
  ageBy(ageingMs: number): void {
    if (ageingMs === this.#ageingMs) return;
    this.#ageingMs = ageingMs;
    for (const lines of this.#types.values())
      for (const { bySwarm } of lines.values()) for (const own of bySwarm.values()) own.rebuild();
  }

  /** The first request of each line of a swarm, without those in `except`, in their order. */
  heads(swarm: string, except: ReadonlySet<string>): Row[] {
    const found: Asking<Row>[] = [];
    for (const lines of this.#types.values()) {
      for (const { bySwarm } of lines.values()) {
        const own = bySwarm.get(swarm);
        const first = own && firstOf(own, except);
        if (first) found.push(first);
      }
    }
    return found.sort((a, b) => (this.#goesFirst(a, b) ? -1 : 1)).map(({ row }) => row);
  }

  add(row: Row): void {
    const asking: Asking<Row> = { row, wish: wishOf(row.wish), place: -1 };
    this.#waiting.set(row.id, asking);
    const lines = entry(this.#types, row.wish.type, () => new Map<string, Line<Row>>());
    const { need } = asking.wish;
    const make = (): Line<Row> => ({ need, lender: row.wish.lender, bySwarm: new Map() });
    const line = entry(lines, lineKey(asking), make);
    entry(line.bySwarm, row.wish.swarm, () => new Ranked<Asking<Row>>(this.#goesFirst)).add(asking);
  }

  delete(id: string): void {
    const asking = this.#waiting.get(id);
    if (!asking) return;
    this.#waiting.delete(id);
    const { type, swarm } = asking.row.wish;
    const lines = this.#types.get(type);
    const line = lines?.get(lineKey(asking));
    const own = line?.bySwarm.get(swarm);
    if (!lines || !line || !own) return;
    own.remove(asking);
    if (own.size > 0) return;
    line.bySwarm.delete(swarm);
    if (line.bySwarm.size > 0) return;
    lines.delete(lineKey(asking));
    if (lines.size === 0) this.#types.delete(type);
  }

  /** The requests for the same type that would be granted before a waiting one, by shares that this may change. */
  before(id: string, fair: FairShare, mayBorrow: (swarm: string) => boolean): Asking[] {
    const asked = this.#waiting.get(id);
    const found: Asking[] = [];
    if (!asked) return found;
    const lines = new Map<string, Asking[]>();
    for (const each of this.#waiting.values()) {
      const { type, swarm } = each.row.wish;
      if (type !== asked.row.wish.type || (swarm !== asked.row.wish.swarm && !mayBorrow(swarm))) continue;
      entry(lines, swarm, () => [] as Asking[]).push(each);
    }
    for (const line of lines.values()) line.sort((a, b) => (this.#goesFirst(a, b) ? 1 : -1));
    for (;;) {
      let next: Asking | undefined;
      for (const line of lines.values()) {
        const head = line.at(-1);
        if (head && (!next || comesBefore(head, next, fair))) next = head;
      }
      if (!next || next === asked) return found;
      found.push(next);
      const { swarm, termMs } = next.row.wish;
      lines.get(swarm)?.pop();
      fair.grant(swarm, termMs);
    }
  }

  /** Whom a free agent is lent to: of the swarms that ask for its like, the one that had least. */
  next(
    type: string,
    offer: Offer,
    fair: FairShare,
    mayBorrow: (swarm: string) => boolean,
    except: ReadonlySet<string>,
  ): Row | undefined {
    const heads = new Map<string, Asking<Row>>();
    for (const { need, lender, bySwarm } of this.#types.get(type)?.values() ?? []) {
      if ((lender !== '' && lender !== offer.home) || !meets(offer, need)) continue;
      for (const [swarm, own] of bySwarm) {
        if (swarm === offer.home || !mayBorrow(swarm)) continue;
        const first = firstOf(own, except);
        const head = heads.get(swarm);
        if (first && (!head || this.#goesFirst(first, head))) heads.set(swarm, first);
      }
    }
    let best: Asking<Row> | undefined;
    for (const head of heads.values()) if (!best || comesBefore(head, best, fair)) best = head;
    return best?.row;
  }
}

/** Between swarms: who had less, then who waits longer. */
function comesBefore(a: Asking, b: Asking, fair: FairShare): boolean {
  const difference = fair.tag(a.row.wish.swarm) - fair.tag(b.row.wish.swarm);
  return difference === 0 ? a.row.order < b.row.order : difference < 0;
}

function firstOf<Row extends Asks>(own: Ranked<Asking<Row>>, except: ReadonlySet<string>): Asking<Row> | undefined {
  const { first } = own;
  if (!first || !except.has(first.row.id)) return first;
  for (const asking of own.inOrder()) if (!except.has(asking.row.id)) return asking;
  return undefined;
}

const lineKey = ({ row, wish }: Asking): string => `${row.wish.lender}/${needKey(wish.need)}`;

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key);
  if (known) return known;
  const made = make();
  map.set(key, made);
  return made;
}
