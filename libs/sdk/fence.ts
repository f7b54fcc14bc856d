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

interface Taken {
  readonly attempt: number;
  /** By the pool's time. */
  readonly assignedMs: number;
}

/** How many ended attempts are remembered, so that a late repeat of one is not run again. */
const MAX_REMEMBERED = 4096;

/**
 * Sorts out repeated, late and foreign assignments by the leader's epoch and the attempt's number. What an assignment
 * itself says moves nothing here: only what the pool has answered does.
 */
export class AssignmentFence {
  #epoch = 0;
  /** The highest attempt taken of each task, oldest first. */
  readonly #taken = new Map<string, Taken>();
  /** What was assigned up to here may have been taken and forgotten. */
  #forgottenMs = 0;

  judge(assignment: Pick<Assignment, 'task' | 'attempt' | 'epoch' | 'cancel'>): Verdict {
    if (Number(assignment.epoch) < this.#epoch) return 'stale';
    const taken = this.#taken.get(assignment.task)?.attempt ?? 0;
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
    if (this.#taken.get(task)?.attempt === attempt) this.#taken.delete(task);
  }

  /** Surely no repeat of one that was taken long ago: a message that is the pool's may be sent again by anybody. */
  isFresh({ assignedMs = '0' }: Pick<Assignment, 'assignedMs'>): boolean {
    return Number(assignedMs) > this.#forgottenMs;
  }

  /** The attempt is this agent's business now. */
  take({ task, attempt, assignedMs = '0' }: Pick<Assignment, 'task' | 'attempt' | 'assignedMs'>): void {
    this.#taken.delete(task);
    this.#taken.set(task, { attempt, assignedMs: Number(assignedMs) });
    if (this.#taken.size <= MAX_REMEMBERED) return;
    for (const [oldest, { assignedMs: atMs }] of this.#taken) {
      this.#taken.delete(oldest);
      this.#forgottenMs = Math.max(this.#forgottenMs, atMs);
      break;
    }
  }
}
