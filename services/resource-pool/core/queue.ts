import { meets, type Need, needKey, type Offer, poolKey, type Wish, wishOf } from './need.ts';
import { type Placed, Ranked } from './ranked.ts';
import type { TaskRow } from './rows.ts';

/** A task that waits, as the dispatcher sees it. */
export interface Waiting extends Placed {
  readonly id: string;
  readonly type: string;
  readonly wish: Wish;
  readonly priority: number;
  readonly order: number;
  /** The number of its next attempt. */
  readonly attempt: number;
  /** The agent of the attempt before, which another is preferred to; empty = none. */
  readonly avoid: string;
}

/** Higher priority first, then the older one: a total order. */
const goesFirst = (a: Waiting, b: Waiting): boolean =>
  a.priority === b.priority ? a.order < b.order : a.priority > b.priority;

export const waitingOf = ({
  id,
  spec,
  order,
  attempts,
}: Pick<TaskRow, 'id' | 'spec' | 'order' | 'attempts'>): Waiting => ({
  id,
  type: spec.type,
  wish: wishOf(spec),
  priority: spec.priority,
  order,
  attempt: attempts.length + 1,
  avoid: attempts.at(-1)?.agent ?? '',
  place: -1,
});

interface Line {
  readonly need: Need;
  readonly tasks: Ranked<Waiting>;
}

/**
 * Waiting tasks by swarm and type, and there by what they need: tasks that only an absent capability holds up stand in
 * a line of their own and are never looked at by agents that lack it. Derived from the task rows.
 */
export class Queue {
  readonly #pools = new Map<string, Map<string, Line>>();
  readonly #waiting = new Map<string, Waiting>();

  get size(): number {
    return this.#waiting.size;
  }

  get(id: string): Waiting | undefined {
    return this.#waiting.get(id);
  }

  add(task: TaskRow): void {
    const waiting = waitingOf(task);
    this.#waiting.set(waiting.id, waiting);
    this.#lineOf(waiting).tasks.add(waiting);
  }

  delete(id: string): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    const key = poolKey(waiting.wish.swarm, waiting.type);
    const pool = this.#pools.get(key);
    const line = pool?.get(needKey(waiting.wish.need));
    if (!pool || !line) return;
    line.tasks.remove(waiting);
    if (line.tasks.size > 0) return;
    pool.delete(needKey(waiting.wish.need));
    if (pool.size === 0) this.#pools.delete(key);
  }

  /** The first `limit` tasks of a swarm and type that `offer` meets, without those in `except`. */
  first(swarm: string, type: string, offer: Offer, limit: number, except: ReadonlySet<string>): Waiting[] {
    const found: Waiting[] = [];
    for (const { need, tasks } of this.#pools.get(poolKey(swarm, type))?.values() ?? []) {
      if (meets(offer, need)) takeFirst(tasks, limit, except, found);
    }
    if (found.length > 1) found.sort(byOrder);
    return found.length > limit ? found.slice(0, limit) : found;
  }

  /** How many tasks of its swarm and type go before a waiting one. */
  ahead(id: string): number {
    const waiting = this.#waiting.get(id);
    if (!waiting) return 0;
    let count = 0;
    for (const { tasks } of this.#pools.get(poolKey(waiting.wish.swarm, waiting.type))?.values() ?? [])
      for (const other of tasks.items()) if (goesFirst(other, waiting)) count++;
    return count;
  }

  #lineOf(waiting: Waiting): Line {
    const pool = entry(this.#pools, poolKey(waiting.wish.swarm, waiting.type), () => new Map<string, Line>());
    return entry(pool, needKey(waiting.wish.need), () => ({ need: waiting.wish.need, tasks: new Ranked(goesFirst) }));
  }
}

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key);
  if (known) return known;
  const made = make();
  map.set(key, made);
  return made;
}

export const byOrder = (a: Waiting, b: Waiting): number => (goesFirst(a, b) ? -1 : 1);

function takeFirst(tasks: Ranked<Waiting>, limit: number, except: ReadonlySet<string>, found: Waiting[]): void {
  let taken = 0;
  for (const waiting of tasks.inOrder()) {
    if (taken === limit) return;
    if (except.has(waiting.id)) continue;
    found.push(waiting);
    taken++;
  }
}
