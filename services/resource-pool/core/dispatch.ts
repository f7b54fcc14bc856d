import { meets } from './need.ts';
import { byOrder, type Waiting, waitingOf } from './queue.ts';
import { type AgentRow, currentAttempt, type TaskRow } from './rows.ts';
import type { PoolEvent, PoolState } from './state.ts';
import { isBetter, isFree, type Spot } from './workers.ts';

/**
 * Which waiting task goes to which agent.
 *
 * Between decisions no task waits while an agent that fits it is free. So a decision need only look at what it changes
 * itself: the tasks that it queues, and the agents to which it gives room. A plan collects these changes without
 * touching the state, says how the state will then look to the dispatcher, and makes the assignments that restore the
 * rule. The alternative, a tick that looks for work, would cost every task a record more before it starts.
 *
 * Tasks go by priority, then age. An agent is preferred that did not have the task's last attempt, then one that is at
 * home in the task's swarm, then the least busy share of slots, then priority, then name.
 */
export class Plan {
  readonly #state: PoolState;
  /** Agents as they will be, for those that this decision changes. Undefined = will be gone. */
  readonly #changed = new Map<string, Spot | undefined>();
  /** Agents that may have room for a waiting task. */
  readonly #opened = new Set<string>();
  /** Tasks that this decision queues. */
  readonly #queued: Waiting[] = [];
  /** Waiting tasks that this plan has given out. */
  readonly #taken = new Set<string>();
  /** Tasks whose attempts end. */
  readonly #vacated = new Set<string>();

  constructor(state: PoolState) {
    this.#state = state;
  }

  /** The task's current attempt ends, so that its agent has a slot more. */
  vacate(task: TaskRow): void {
    const attempt = currentAttempt(task);
    const spot = attempt && this.spot(attempt.agent);
    this.#vacated.add(task.id);
    if (spot) this.#change({ ...spot, busy: spot.busy - 1 });
  }

  /** Will the task's attempt have ended? */
  hasVacated(task: string): boolean {
    return this.#vacated.has(task);
  }

  /** The agent's row will be as given; slots in use stay what they are in this plan. */
  changeRow(row: AgentRow): void {
    const offer = { capabilities: new Set(row.capabilities), allowScripts: row.allowScripts };
    this.#change({ row, offer, busy: this.spot(row.key)?.busy ?? 0 });
  }

  /** The agent will be gone. */
  remove(key: string): void {
    this.#changed.set(key, undefined);
  }

  /** The task will wait: it is new, or its attempt has ended and it is tried again. */
  queue(task: Pick<TaskRow, 'id' | 'spec' | 'order' | 'attempts'>): void {
    this.#queued.push(waitingOf(task));
  }

  /** The agent as it will be. */
  spot(key: string): Spot | undefined {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#state.workers.get(key);
  }

  /** The agents that this decision changes, as they will be. */
  changed(): Spot[] {
    return [...this.#changed.values()].filter((spot) => spot !== undefined);
  }

  /** The assignments that follow from the changes, after the events that bring these about. */
  assignments(): PoolEvent[] {
    const events: PoolEvent[] = [];
    let tasks = [...this.#queued, ...this.#forOpened()];
    while (tasks.length > 0) {
      if (tasks.length > 1) tasks.sort(byOrder);
      const before = events.length;
      for (const task of tasks) this.#assign(task, events);
      // Another round only when agents got less than they were offered, because others took their tasks.
      tasks = events.length > before ? this.#forOpened() : [];
    }
    return events;
  }

  #change(spot: Spot): void {
    this.#changed.set(spot.row.key, spot);
    this.#opened.add(spot.row.key);
  }

  #assign(task: Waiting, events: PoolEvent[]): void {
    const spot = this.#bestFor(task);
    if (!spot) return;
    this.#taken.add(task.id);
    this.#changed.set(spot.row.key, { ...spot, busy: spot.busy + 1 });
    const { key, instance, lease } = spot.row;
    events.push({
      type: 'task.assigned',
      data: { task: task.id, attempt: task.attempt, agent: key, instance, lease },
    });
  }

  /** As many of the first waiting tasks as the opened agents have room for. */
  #forOpened(): Waiting[] {
    if (this.#state.queue.size === 0) return [];
    const found = new Map<string, Waiting>();
    for (const key of this.#opened) {
      const spot = this.spot(key);
      if (!spot || !isFree(spot)) continue;
      const { serving, type, slots } = spot.row;
      for (const task of this.#state.queue.first(serving, type, spot.offer, slots - spot.busy, this.#taken))
        found.set(task.id, task);
    }
    return [...found.values()];
  }

  #bestFor(task: Waiting): Spot | undefined {
    if (task.avoid !== '' && !this.#changed.has(task.avoid)) this.#changed.set(task.avoid, this.spot(task.avoid));
    let best: Spot | undefined;
    for (const [, free] of this.#state.workers.serving(task.swarm, task.type, task.need)) {
      for (const worker of free.inOrder()) {
        if (this.#changed.has(worker.row.key)) continue;
        if (!best || isPreferred(worker, best, task)) best = worker;
        break;
      }
    }
    for (const spot of this.#changed.values()) {
      if (spot && isCandidate(spot, task) && (!best || isPreferred(spot, best, task))) best = spot;
    }
    return best;
  }
}

const isCandidate = ({ row, offer, busy }: Spot, task: Waiting): boolean =>
  row.serving === task.swarm && row.type === task.type && isFree({ row, offer, busy }) && meets(offer, task.need);

function isPreferred(a: Spot, b: Spot, task: Waiting): boolean {
  const avoided = Number(a.row.key === task.avoid) - Number(b.row.key === task.avoid);
  if (avoided !== 0) return avoided < 0;
  const away = Number(a.row.home !== task.swarm) - Number(b.row.home !== task.swarm);
  return away === 0 ? isBetter(a, b) : away < 0;
}
