import type { Assignment } from '../wire/hivebus/pool/v1/pool.ts';

/** What to do with an assignment that arrived. */
export type Verdict =
  /** From a deposed leader, or of an attempt older than one seen: no answer. */
  | 'stale'
  /** Running or done already: answer, do nothing. */
  | 'known'
  /** To be ended; `start` may still be to come. */
  | 'cancel'
  | 'start';

/** How many ended attempts are remembered, so that a late repeat of one is not run again. */
const MAX_REMEMBERED = 4096;

/**
 * Sorts out repeated, late and foreign assignments by the leader's epoch and the attempt's number. What an assignment
 * itself says moves nothing here: only what the pool has answered does.
 */
export class AssignmentFence {
  #epoch = 0;
  /** The highest attempt taken of each task, oldest first. */
  readonly #taken = new Map<string, number>();

  judge(assignment: Pick<Assignment, 'task' | 'attempt' | 'epoch' | 'cancel'>): Verdict {
    if (Number(assignment.epoch) < this.#epoch) return 'stale';
    const taken = this.#taken.get(assignment.task) ?? 0;
    if (assignment.attempt < taken) return 'stale';
    if (assignment.cancel) return 'cancel';
    return assignment.attempt === taken ? 'known' : 'start';
  }

  /** The pool's leader has answered in this epoch: what older ones sent is stale. */
  heard(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch);
  }

  /** The attempt is not this agent's after all: an earlier one may be. */
  forget(task: string, attempt: number): void {
    if (this.#taken.get(task) === attempt) this.#taken.delete(task);
  }

  /** The attempt is this agent's business now. */
  take(task: string, attempt: number): void {
    this.#taken.delete(task);
    this.#taken.set(task, attempt);
    if (this.#taken.size <= MAX_REMEMBERED) return;
    const [oldest] = this.#taken.keys();
    this.#taken.delete(oldest as string);
  }
}
