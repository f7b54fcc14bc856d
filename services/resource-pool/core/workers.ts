import { meets, type Need, type Offer, poolKey } from './need.ts';
import { Ranked } from './ranked.ts';
import type { AgentRow } from './rows.ts';

/** Why an agent can or cannot be given work now. */
export type Standing = 'free' | 'busy' | 'lent' | 'suspect' | 'unreachable';
export type Counts = Record<Standing, number>;

/** An agent as the dispatcher sees it. */
export interface Spot {
  readonly row: AgentRow;
  readonly offer: Offer;
  /** Slots in use. */
  readonly busy: number;
}

/** Agents of one home and type that no task can tell apart: demands are judged once for all of them. */
export interface WorkerClass extends Offer {
  readonly key: string;
  readonly home: string;
  readonly type: string;
  readonly counts: Counts;
  /** The free ones by the swarm that they serve; the home swarm's are those that can be lent. */
  readonly free: Map<string, Ranked<Worker>>;
}

/** The index's entry of one agent; only the index changes it. */
export interface Worker extends Spot {
  row: AgentRow;
  offer: WorkerClass;
  busy: number;
  standing: Standing;
  /** Tasks that it has now; undefined = none, which is how most agents rest. */
  tasks: Set<string> | undefined;
  place: number;
}

/** Can it be given another task? */
export const isFree = (spot: Spot): boolean => takesWork(spot.row) && spot.busy < spot.row.slots;

const takesWork = (row: AgentRow): boolean => row.state === 'AGENT_STATE_READY' && !row.draining;

/** Least busy share first, then higher priority, then by name: a total order. */
export function isBetter(a: Spot, b: Spot): boolean {
  const share = a.busy * b.row.slots - b.busy * a.row.slots;
  if (share !== 0) return share < 0;
  if (a.row.priority !== b.row.priority) return a.row.priority > b.row.priority;
  return a.row.key < b.row.key;
}

/**
 * Agents by what dispatch asks for. A class is the set of agents of one home that no task can tell apart; its free
 * agents stand in a heap for each swarm that they serve. A decision looks at the tops of the few classes that serve a
 * swarm and type, never at all agents. Derived from the rows of agents and tasks.
 */
export class Workers {
  readonly #workers = new Map<string, Worker>();
  readonly #classes = new Map<string, WorkerClass>();
  readonly #byType = new Map<string, Set<WorkerClass>>();
  /** By serving swarm and type: the classes that have free agents there. */
  readonly #serving = new Map<string, Set<WorkerClass>>();

  get(key: string): Worker | undefined {
    return this.#workers.get(key);
  }

  /** Takes in an agent's new row. Its capabilities are replaced by its class's own, so that each is kept once. */
  put(row: AgentRow): void {
    const offer = this.#classOf(row);
    const worker = this.#workers.get(row.key);
    if (!worker) {
      const standing = standingOf(row, 0);
      const fresh: Worker = { row, offer, busy: 0, standing, tasks: undefined, place: -1 };
      this.#workers.set(row.key, fresh);
      return this.#enter(fresh);
    }
    this.#leave(worker);
    if (worker.offer !== offer) this.#dropIfEmpty(worker.offer);
    worker.row = row;
    worker.offer = offer;
    this.#enter(worker);
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

  /** The classes with free agents that serve `swarm` with this type, each with its free agents, best first. */
  *serving(swarm: string, type: string, need: Need): Generator<[WorkerClass, Ranked<Worker>], void, undefined> {
    for (const offer of this.#serving.get(poolKey(swarm, type)) ?? []) {
      const free = offer.free.get(swarm);
      if (free && meets(offer, need)) yield [offer, free];
    }
  }

  /** All classes of a type, of every home. */
  ofType(type: string): Iterable<WorkerClass> {
    return this.#byType.get(type) ?? [];
  }

  #classOf(row: AgentRow): WorkerClass {
    const key = `${row.home}/${row.type}/${row.allowScripts ? '!' : ''}${[...row.capabilities].sort().join()}`;
    const known = this.#classes.get(key);
    if (known) return known;
    const made: WorkerClass = {
      key,
      home: row.home,
      type: row.type,
      capabilities: new Set(row.capabilities),
      allowScripts: row.allowScripts,
      counts: { free: 0, busy: 0, lent: 0, suspect: 0, unreachable: 0 },
      free: new Map(),
    };
    this.#classes.set(key, made);
    addTo(this.#byType, row.type, made);
    return made;
  }

  #dropIfEmpty(offer: WorkerClass): void {
    if (Object.values(offer.counts).some((count) => count > 0)) return;
    this.#classes.delete(offer.key);
    removeFrom(this.#byType, offer.type, offer);
  }

  #enter(worker: Worker): void {
    worker.standing = standingOf(worker.row, worker.busy);
    worker.offer.counts[worker.standing]++;
    if (isFree(worker)) this.#seat(worker);
  }

  #leave(worker: Worker): void {
    worker.offer.counts[worker.standing]--;
    if (worker.place >= 0) this.#unseat(worker);
  }

  #reconsider(worker: Worker): void {
    const standing = standingOf(worker.row, worker.busy);
    worker.offer.counts[worker.standing]--;
    worker.offer.counts[standing]++;
    worker.standing = standing;
    const seated = worker.place >= 0;
    if (!isFree(worker)) return seated ? this.#unseat(worker) : undefined;
    if (seated) worker.offer.free.get(worker.row.serving)?.moved(worker);
    else this.#seat(worker);
  }

  #seat(worker: Worker): void {
    const { offer, row } = worker;
    let free = offer.free.get(row.serving);
    if (!free) {
      free = new Ranked<Worker>(isBetter);
      offer.free.set(row.serving, free);
    }
    if (free.size === 0) addTo(this.#serving, poolKey(row.serving, row.type), offer);
    free.add(worker);
  }

  #unseat(worker: Worker): void {
    const { offer, row } = worker;
    const free = offer.free.get(row.serving);
    if (!free) return;
    free.remove(worker);
    if (free.size > 0) return;
    removeFrom(this.#serving, poolKey(row.serving, row.type), offer);
    // A borrower's heap goes when it is empty, or classes would remember every swarm they ever served.
    if (row.serving !== row.home) offer.free.delete(row.serving);
  }
}

function standingOf(row: AgentRow, busy: number): Standing {
  if (row.state === 'AGENT_STATE_UNREACHABLE') return 'unreachable';
  if (row.state !== 'AGENT_STATE_READY') return 'suspect';
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
