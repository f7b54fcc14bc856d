import type { GroupCounts } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { TaskState } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { currentAttempt, type TaskRow } from './rows.ts';
import { hasEnded } from './task-states.ts';

/** The tasks of a group that has not ended. */
export class Members {
  /** In the order in which they were submitted. */
  readonly tasks: string[] = [];
  readonly #counts = new Map<TaskState, number>();
  /** Of a group by consensus: the agent that has, or has cast, each vote. */
  readonly #voters = new Map<string, string>();

  count(...states: readonly TaskState[]): number {
    return states.reduce((sum, state) => sum + (this.#counts.get(state) ?? 0), 0);
  }

  /** Tasks that wait for an agent or have one. */
  get inHand(): number {
    return this.count('TASK_STATE_QUEUED', 'TASK_STATE_ASSIGNED', 'TASK_STATE_RUNNING');
  }

  get counts(): GroupCounts {
    return {
      total: this.tasks.length,
      blocked: this.count('TASK_STATE_BLOCKED'),
      queued: this.count('TASK_STATE_QUEUED'),
      running: this.count('TASK_STATE_ASSIGNED', 'TASK_STATE_RUNNING'),
      succeeded: this.count('TASK_STATE_SUCCEEDED'),
      failed: this.count('TASK_STATE_FAILED'),
      cancelled: this.count('TASK_STATE_CANCELLED'),
    };
  }

  /** Who has which vote, or has cast it, by task. */
  get voters(): ReadonlyMap<string, string> {
    return this.#voters;
  }

  put(before: TaskRow | undefined, row: TaskRow): void {
    if (before) this.#add(before.state, -1);
    else this.tasks.push(row.id);
    this.#add(row.state, 1);
    if (!row.spec.ties?.vote) return;
    const voter = voterOf(row);
    if (voter) this.#voters.set(row.id, voter);
    else this.#voters.delete(row.id);
  }

  #add(state: TaskState, by: 1 | -1): void {
    this.#counts.set(state, (this.#counts.get(state) ?? 0) + by);
  }
}

/** The agent that has a vote or had it last when it ended. A vote that is tried again is nobody's meanwhile. */
const voterOf = (row: TaskRow): string | undefined =>
  currentAttempt(row) || hasEnded(row.state) ? row.attempts.at(-1)?.agent : undefined;

/**
 * What tasks have to do with each other. Derived from their rows, and only tasks that have ties cost anything here.
 *
 * A task that others wait for, or whose group has not ended, is pinned: it is not forgotten when it has ended, because its
 * outcome and result are still asked for.
 */
export class Ties {
  readonly #dependants = new Map<string, Set<string>>();
  readonly #groups = new Map<string, Members>();
  #blocked = 0;

  /** How many tasks are held back. */
  get blocked(): number {
    return this.#blocked;
  }

  get openGroups(): number {
    return this.#groups.size;
  }

  /** A group's tasks; undefined once it has ended. */
  members(group: string): Members | undefined {
    return this.#groups.get(group);
  }

  /** Tasks that have not ended and wait, or waited, for this one. */
  dependantsOf(task: string): ReadonlySet<string> | undefined {
    return this.#dependants.size === 0 ? undefined : this.#dependants.get(task);
  }

  isPinned({ id, spec }: TaskRow): boolean {
    if (this.dependantsOf(id)) return true;
    return spec.ties !== undefined && this.#groups.has(spec.ties.group);
  }

  open(group: string): void {
    this.#groups.set(group, new Members());
  }

  close(group: string): void {
    this.#groups.delete(group);
  }

  /** A task that has ties is there, or has changed. */
  put(before: TaskRow | undefined, row: TaskRow): void {
    this.#blocked += Number(isBlocked(row)) - Number(before !== undefined && isBlocked(before));
    this.#groups.get(row.spec.ties?.group ?? '')?.put(before, row);
    const isOpen = !hasEnded(row.state);
    if (isOpen && before) return;
    for (const { task } of row.spec.ties?.after ?? []) {
      if (isOpen) this.#wait(task, row.id);
      else this.#waitsNoMore(task, row.id);
    }
  }

  #wait(task: string, dependant: string): void {
    const known = this.#dependants.get(task);
    if (known) known.add(dependant);
    else this.#dependants.set(task, new Set([dependant]));
  }

  #waitsNoMore(task: string, dependant: string): void {
    const known = this.#dependants.get(task);
    known?.delete(dependant);
    if (known?.size === 0) this.#dependants.delete(task);
  }
}

const isBlocked = (row: TaskRow): boolean => row.state === 'TASK_STATE_BLOCKED';
