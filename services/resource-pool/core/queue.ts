import { meets, type Need, needKey, type Offer, poolKey, type Wish, wishOf, wishOfTask } from './need.ts';
import { type Placed, Ranked } from './ranked.ts';
import type { TaskRow } from './rows.ts';
import { DEFAULT_AGEING_MS } from './score.ts';

/** A task that waits, as the dispatcher sees it. */
export interface Waiting extends Placed {
  readonly id: string;
  readonly type: string;
  readonly wish: Wish;
  readonly priority: number;
  readonly submittedAt: number;
  readonly order: number;
  /** The number of its next attempt. */
  readonly attempt: number;
  /** The agent of the attempt before, which another is preferred to; empty = none. */
  readonly avoid: string;
  /** The group whose votes go to different agents, and this is one of them; empty = it is no vote. */
  readonly ballot: string;
  /** Where it stands; only the queue writes it. */
  line: Line | undefined;
}

/** What a waiting task is made of. */
export type Waiter = Pick<TaskRow, 'id' | 'spec' | 'host' | 'submittedAt' | 'order' | 'attempts' | 'offered'>;

export const waitingOf = ({ id, spec, host, submittedAt, order, attempts }: Waiter): Waiting => ({
  id,
  type: spec.type,
  wish: spec.volumes ? wishOfTask({ spec, host }) : wishOf(spec),
  priority: spec.priority,
  submittedAt,
  order,
  attempt: attempts.length + 1,
  avoid: attempts.at(-1)?.agent ?? '',
  ballot: spec.ties?.vote ? spec.ties.group : '',
  place: -1,
  line: undefined,
});

/** Votes stand in lines of their own, since which agents may have one differs from vote to vote. */
const lineKey = ({ id, wish, ballot }: Waiting): string =>
  ballot === '' ? needKey(wish.need) : `${needKey(wish.need)}#${id}`;

interface Line {
  /** Swarm and type. */
  readonly pool: string;
  /** What it is known by there. */
  readonly key: string;
  readonly need: Need;
  readonly tasks: Ranked<Waiting>;
  /** It is among those that stay a while when they are empty. */
  isKept: boolean;
}

/** So many lines that have become empty stay, at most: most tasks find an agent at once and stand in line for a moment. */
const KEPT_LINES = 16;

/**
 * Waiting tasks by swarm and type, and there by what they need: tasks that only an absent capability holds up stand in
 * a line of their own and are never looked at by agents that lack it. Derived from the task rows.
 *
 * Priority ages: each point is worth a stated time of waiting. So a task's place follows from when it was submitted and
 * its priority alone, it never changes while it waits, and no timer has to move it.
 */
export class Queue {
  readonly #pools = new Map<string, Map<string, Line>>();
  readonly #waiting = new Map<string, Waiting>();
  /** Those that have become empty last, the oldest first; some may be in use again. */
  readonly #kept: Line[] = [];

  #ageingMs = DEFAULT_AGEING_MS;

  get size(): number {
    return this.#waiting.size;
  }

  get(id: string): Waiting | undefined {
    return this.#waiting.get(id);
  }

  /** Who goes first: as if each had been submitted earlier by what its priority is worth; then the older one. */
  readonly goesFirst = (a: Waiting, b: Waiting): boolean => {
    const start = a.submittedAt - a.priority * this.#ageingMs - (b.submittedAt - b.priority * this.#ageingMs);
    return start === 0 ? a.order < b.order : start < 0;
  };

  readonly byOrder = (a: Waiting, b: Waiting): number => (this.goesFirst(a, b) ? -1 : 1);

  /** A point of priority is worth so much waiting from now on. */
  ageBy(ageingMs: number): void {
    if (ageingMs === this.#ageingMs) return;
    this.#ageingMs = ageingMs;
    for (const lines of this.#pools.values()) for (const { tasks } of lines.values()) tasks.rebuild();
  }

  add(task: TaskRow): void {
    const waiting = waitingOf(task);
    this.#waiting.set(waiting.id, waiting);
    waiting.line = this.#lineOf(waiting);
    waiting.line.tasks.add(waiting);
  }

  delete(id: string): void {
    const waiting = this.#waiting.get(id);
    if (!waiting?.line) return;
    this.#waiting.delete(id);
    waiting.line.tasks.remove(waiting);
    if (waiting.line.tasks.size === 0) this.#keep(waiting.line);
  }

  /** The first `limit` tasks of a swarm and type that `offer` meets, without those in `except` and votes that are barred. */
  first(
    swarm: string,
    type: string,
    offer: Offer,
    limit: number,
    except: ReadonlySet<string>,
    isBarred: (vote: Waiting) => boolean,
  ): Waiting[] {
    const found: Waiting[] = [];
    for (const { need, tasks } of this.#pools.get(poolKey(swarm, type))?.values() ?? []) {
      if (!meets(offer, need) || (tasks.first?.ballot && isBarred(tasks.first))) continue;
      takeFirst(tasks, limit, except, found);
    }
    if (found.length > 1) found.sort(this.byOrder);
    return found.length > limit ? found.slice(0, limit) : found;
  }

  /** The first task of each line of a swarm, without those in `except`, in their order. */
  heads(swarm: string, except: ReadonlySet<string>): Waiting[] {
    const found: Waiting[] = [];
    for (const [key, lines] of this.#pools) {
      if (key.slice(0, key.indexOf('/')) !== swarm) continue;
      for (const { tasks } of lines.values()) takeFirst(tasks, 1, except, found);
    }
    return found.sort(this.byOrder);
  }

  /** How many tasks wait, by swarm and type, and there by what they need. */
  *depths(): Iterable<{ swarm: string; type: string; need: Need; count: number }> {
    for (const [key, lines] of this.#pools) {
      const slash = key.indexOf('/');
      const [swarm, type] = [key.slice(0, slash), key.slice(slash + 1)];
      for (const { need, tasks } of lines.values()) if (tasks.size > 0) yield { swarm, type, need, count: tasks.size };
    }
  }

  /** How many tasks of its swarm and type go before a waiting one, by what they need. */
  before(id: string): { need: Need; count: number }[] {
    const waiting = this.#waiting.get(id);
    if (!waiting) return [];
    const found: { need: Need; count: number }[] = [];
    for (const { need, tasks } of this.#pools.get(poolKey(waiting.wish.swarm, waiting.type))?.values() ?? []) {
      let count = 0;
      for (const other of tasks.items()) if (this.goesFirst(other, waiting)) count++;
      if (count > 0) found.push({ need, count });
    }
    return found;
  }

  #lineOf(waiting: Waiting): Line {
    const pool = poolKey(waiting.wish.swarm, waiting.type);
    const key = lineKey(waiting);
    const lines = this.#pools.get(pool) ?? new Map<string, Line>();
    const known = lines.get(key);
    if (known) return known;
    const made: Line = { pool, key, need: waiting.wish.need, tasks: new Ranked(this.goesFirst), isKept: false };
    this.#pools.set(pool, lines.set(key, made));
    return made;
  }

  /** The line is empty. */
  #keep(line: Line): void {
    if (line.isKept) return;
    line.isKept = true;
    this.#kept.push(line);
    const oldest = this.#kept.length > KEPT_LINES ? this.#kept.shift() : undefined;
    if (!oldest) return;
    oldest.isKept = false;
    if (oldest.tasks.size === 0) this.#drop(oldest);
  }

  #drop({ pool, key }: Line): void {
    const lines = this.#pools.get(pool);
    lines?.delete(key);
    if (lines?.size === 0) this.#pools.delete(pool);
  }
}

function takeFirst(tasks: Ranked<Waiting>, limit: number, except: ReadonlySet<string>, found: Waiting[]): void {
  let taken = 0;
  for (const waiting of tasks.inOrder()) {
    if (taken === limit) return;
    if (except.has(waiting.id)) continue;
    found.push(waiting);
    taken++;
  }
}
