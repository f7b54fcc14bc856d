import { NameSet } from '../../../libs/kernel/name-set.ts';
import { labelsKey, type Offer, poolKey } from './need.ts';
import { Ranked } from './ranked.ts';
import type { AgentRow } from './rows.ts';
import type { Scoring } from './score.ts';

/** Why an agent can or cannot be given work now. */
export type Standing = 'free' | 'busy' | 'lent' | 'draining' | 'suspect' | 'unreachable';
export type Counts = Record<Standing, number>;

/** An agent as the dispatcher sees it. */
export interface Spot {
  readonly row: AgentRow;
  readonly offer: Offer;
  /** Slots in use. */
  readonly busy: number;
  /** The part of its rank that its load does not change. */
  readonly merit: number;
  /** What it counts besides how its class fits: see score.ts. */
  readonly rank: number;
}

/** Agents of one home and type that no wish can tell apart: wishes are judged once for all of them. */
export interface WorkerClass extends Offer {
  readonly key: string;
  readonly type: string;
  readonly counts: Counts;
  /** That of its home and type, which it shares with their other classes. */
  readonly stock: { -readonly [Field in keyof Stock]: Stock[Field] };
  /** The free ones at home: those that can be lent. */
  readonly own: Ranked<Worker>;
  /** All free ones, by the swarm that they serve. */
  readonly stands: Map<string, Stand>;
}

/** A class's free agents that serve one swarm, best first. */
export interface Stand {
  readonly offer: WorkerClass;
  readonly free: Ranked<Worker>;
  /** Its index among those of its swarm and type; only the index changes it. */
  place: number;
}

/** The index's entry of one agent; only the index changes it. */
export interface Worker extends Spot {
  row: AgentRow;
  offer: WorkerClass;
  busy: number;
  merit: number;
  rank: number;
  standing: Standing;
  /** Tasks that it has now; undefined = none, which is how most agents rest. */
  tasks: Set<string> | undefined;
  place: number;
}

/** Of the agents of a home and type that can be reached: how many there are, and how many of them are lent. */
export interface Stock {
  readonly reachable: number;
  readonly lent: number;
}

const NO_STOCK: Stock = { reachable: 0, lent: 0 };
const NO_CLASSES: ReadonlySet<WorkerClass> = new Set();
const NO_STANDS: readonly Stand[] = [];

/** Can it be given another task? */
export const isFree = (spot: Pick<Spot, 'row' | 'busy'>): boolean => takesWork(spot.row) && spot.busy < spot.row.slots;

const takesWork = (row: AgentRow): boolean =>
  row.state === 'AGENT_STATE_READY' && !row.draining && row.lameDuck === undefined;

/** Higher rank first, then by name: a total order. */
const isBetter = (a: Spot, b: Spot): boolean => (a.rank === b.rank ? a.row.key < b.row.key : a.rank > b.rank);

/**
 * Agents by what dispatch asks for. A class is the set of agents of one home that no wish can tell apart; its free
 * agents stand in a heap for each swarm that they serve, by rank. A decision looks at the tops of the classes that serve
 * a swarm and type, never at all agents. Derived from the rows of agents, tasks, measures and the policy.
 */
export class Workers {
  readonly #scoring: Scoring;
  readonly #workers = new Map<string, Worker>();
  readonly #classes = new Map<string, WorkerClass>();
  readonly #byType = new Map<string, Set<WorkerClass>>();
  readonly #byHome = new Map<string, Set<WorkerClass>>();
  /** By home and type. */
  readonly #stock = new Map<string, WorkerClass['stock']>();
  /** By serving swarm and type: the stands that are not empty, in no order. Lists, since every decision walks one. */
  readonly #serving = new Map<string, Stand[]>();

  constructor(scoring: Scoring) {
    this.#scoring = scoring;
  }

  get(key: string): Worker | undefined {
    return this.#workers.get(key);
  }

  /** Takes in an agent's new row, and its merit as it is now. */
  put(row: AgentRow, merit: number): void {
    const worker = this.#workers.get(row.key);
    const offer = worker && isSameOffer(worker.row, row) ? worker.offer : this.#classOf(row);
    if (!worker) {
      const standing = standingOf(row, 0);
      const fresh: Worker = { row, offer, busy: 0, merit, rank: 0, standing, tasks: undefined, place: -1 };
      this.#workers.set(row.key, fresh);
      return this.#enter(fresh);
    }
    this.#leave(worker);
    if (worker.offer !== offer) this.#dropIfEmpty(worker.offer);
    worker.row = row;
    worker.offer = offer;
    worker.merit = merit;
    this.#enter(worker);
  }

  /** An agent's merit has changed. */
  weigh(key: string, merit: number): void {
    const worker = this.#workers.get(key);
    if (!worker) return;
    worker.merit = merit;
    this.#reconsider(worker);
  }

  delete(key: string): void {
    const worker = this.#workers.get(key);
    if (!worker) return;
    this.#leave(worker);
    this.#workers.delete(key);
    this.#dropIfEmpty(worker.offer);
  }

  /** A task came to an agent (`here`) or left it. */
  hold(key: string, task: string, here: boolean): void {
    const worker = this.#workers.get(key);
    if (!worker) return;
    worker.tasks ??= new Set();
    if (here) worker.tasks.add(task);
    else worker.tasks.delete(task);
    worker.busy = worker.tasks.size;
    if (worker.busy === 0) worker.tasks = undefined;
    this.#reconsider(worker);
  }

  tasksOf(key: string): Iterable<string> {
    return this.#workers.get(key)?.tasks ?? [];
  }

  /** The free agents that serve `swarm` with this type, class by class. */
  serving(swarm: string, type: string): readonly Stand[] {
    return this.#serving.get(poolKey(swarm, type)) ?? NO_STANDS;
  }

  /** All classes of a type, of every home. */
  ofType(type: string): ReadonlySet<WorkerClass> {
    return this.#byType.get(type) ?? NO_CLASSES;
  }

  /** All classes of a home, of every type. */
  ofHome(home: string): ReadonlySet<WorkerClass> {
    return this.#byHome.get(home) ?? NO_CLASSES;
  }

  stock(home: string, type: string): Stock {
    return this.#stock.get(poolKey(home, type)) ?? NO_STOCK;
  }

  #count({ offer, row, standing }: Worker, by: 1 | -1): void {
    offer.counts[standing] += by;
    if (standing === 'unreachable') return;
    offer.stock.reachable += by;
    if (row.lease !== '') offer.stock.lent += by;
  }

  #classOf(row: AgentRow): WorkerClass {
    const key = classKey(row);
    const known = this.#classes.get(key);
    if (known) return known;
    const pool = poolKey(row.home, row.type);
    const stock = this.#stock.get(pool) ?? { reachable: 0, lent: 0 };
    this.#stock.set(pool, stock);
    const made: WorkerClass = {
      key,
      type: row.type,
      ...offerOf(row),
      counts: { free: 0, busy: 0, lent: 0, draining: 0, suspect: 0, unreachable: 0 },
      stock,
      own: new Ranked<Worker>(isBetter),
      stands: new Map(),
    };
    this.#classes.set(key, made);
    addTo(this.#byType, row.type, made);
    addTo(this.#byHome, row.home, made);
    return made;
  }

  #dropIfEmpty(offer: WorkerClass): void {
    if (Object.values(offer.counts).some((count) => count > 0)) return;
    this.#classes.delete(offer.key);
    removeFrom(this.#byType, offer.type, offer);
    removeFrom(this.#byHome, offer.home, offer);
    for (const { stock } of this.ofHome(offer.home)) if (stock === offer.stock) return;
    this.#stock.delete(poolKey(offer.home, offer.type));
  }

  #enter(worker: Worker): void {
    worker.rank = this.#scoring.rank(worker.merit, worker.busy, worker.row.slots);
    worker.standing = standingOf(worker.row, worker.busy);
    this.#count(worker, 1);
    if (isFree(worker)) this.#seat(worker);
  }

  #leave(worker: Worker): void {
    this.#count(worker, -1);
    if (worker.place >= 0) this.#unseat(worker);
  }

  #reconsider(worker: Worker): void {
    worker.rank = this.#scoring.rank(worker.merit, worker.busy, worker.row.slots);
    const standing = standingOf(worker.row, worker.busy);
    worker.offer.counts[worker.standing]--;
    worker.offer.counts[standing]++;
    worker.standing = standing;
    const seated = worker.place >= 0;
    if (!isFree(worker)) return seated ? this.#unseat(worker) : undefined;
    if (seated) this.#standOf(worker).free.moved(worker);
    else this.#seat(worker);
  }

  #seat(worker: Worker): void {
    const { serving, type } = worker.row;
    const stand = this.#standOf(worker);
    if (stand.free.size === 0) this.#open(stand, poolKey(serving, type));
    stand.free.add(worker);
  }

  #unseat(worker: Worker): void {
    const { offer } = worker;
    const { home, serving, type } = worker.row;
    const stand = this.#standOf(worker);
    stand.free.remove(worker);
    if (stand.free.size > 0) return;
    this.#close(stand, poolKey(serving, type));
    // A borrower's goes when it is empty, or classes would remember every swarm they ever served.
    if (serving !== home) offer.stands.delete(serving);
  }

  #open(stand: Stand, pool: string): void {
    const stands = this.#serving.get(pool);
    stand.place = stands?.length ?? 0;
    if (stands) stands.push(stand);
    else this.#serving.set(pool, [stand]);
  }

  #close(stand: Stand, pool: string): void {
    const stands = this.#serving.get(pool);
    const last = stands?.pop();
    if (!stands || !last) return;
    if (last !== stand) stands[stand.place] = last;
    last.place = stand.place;
    if (stands.length === 0) this.#serving.delete(pool);
  }

  #standOf({ offer, row }: Worker): Stand {
    const known = offer.stands.get(row.serving);
    if (known) return known;
    const free = row.serving === row.home ? offer.own : new Ranked<Worker>(isBetter);
    const made: Stand = { offer, free, place: -1 };
    offer.stands.set(row.serving, made);
    return made;
  }
}

/** What the agents of its class have in common with it. */
export const offerOf = (row: AgentRow): Offer => ({
  home: row.home,
  region: row.region,
  capabilities: new NameSet(row.capabilities),
  labels: row.labels,
  specialisations: new NameSet(row.specialisations),
  allowScripts: row.allowScripts,
});

/**
 * Do both rows belong to the same class? False when it is not plain to see: rows of one agent share their lists, until it
 * registers again, and then its class is looked for.
 */
export const isSameOffer = (a: AgentRow, b: AgentRow): boolean =>
  a.capabilities === b.capabilities &&
  a.labels === b.labels &&
  a.specialisations === b.specialisations &&
  a.type === b.type &&
  a.home === b.home &&
  a.region === b.region &&
  a.allowScripts === b.allowScripts;

function classKey({ home, type, region, allowScripts, capabilities, specialisations, labels }: AgentRow): string {
  const lists = [capabilities, specialisations].map((list) => [...list].sort().join());
  return [home, type, region, allowScripts ? '!' : '', ...lists, labelsKey(labels)].join('/');
}

function standingOf(row: AgentRow, busy: number): Standing {
  if (row.state === 'AGENT_STATE_UNREACHABLE') return 'unreachable';
  if (row.state !== 'AGENT_STATE_READY') return 'suspect';
  if (row.lameDuck) return 'draining';
  if (row.lease !== '') return 'lent';
  return busy < row.slots ? 'free' : 'busy';
}

function addTo<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set) set.add(value);
  else map.set(key, new Set([value]));
}

function removeFrom<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  set?.delete(value);
  if (set?.size === 0) map.delete(key);
}
