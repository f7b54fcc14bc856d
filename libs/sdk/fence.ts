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

type Named = Pick<Assignment, 'task' | 'attempt' | 'assignedMs'>;
type Judged = Named & Pick<Assignment, 'epoch' | 'cancel'>;

interface Taken {
  readonly attempt: number;
  /** By the pool's time. */
  readonly assignedMs: number;
  /** It is the pool that says so. */
  readonly isProven?: boolean;
  /** The pool has said that it is not this agent's. */
  readonly isRefused?: boolean;
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

  /** `proven`: it is the pool that says it. What it has assigned later is another task, whose id was free again. */
  judge(assignment: Judged, proven = false): Verdict {
    if (Number(assignment.epoch) < this.#epoch) return 'stale';
    const known = this.#taken.get(assignment.task);
    const isAnother = proven && known?.isProven && Number(assignment.assignedMs ?? 0) > known.assignedMs;
    const taken = known && !known.isRefused && !isAnother ? known.attempt : 0;
    if (assignment.attempt < taken) return 'stale';
    if (assignment.cancel) return 'cancel';
    return assignment.attempt === taken ? 'known' : 'start';
  }

  /** The pool's leader has answered in this epoch: what older ones sent is stale. */
  heard(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch);
  }

  /** The pool says that the attempt is not this agent's: an earlier one may be, or it was before. */
  refused(task: string, attempt: number): void {
    // When it was assigned is not known, for the message may have been anybody's.
    if (this.#taken.get(task)?.attempt === attempt) this.#taken.set(task, { attempt, assignedMs: 0, isRefused: true });
  }

  /**
   * Surely no repeat of one that was taken long ago, or that the pool has refused: a message that is the pool's may be sent
   * again by anybody.
   */
  isFresh({ task, attempt, assignedMs = '0' }: Named): boolean {
    const known = this.#taken.get(task);
    return Number(assignedMs) > this.#forgottenMs && !(known?.isRefused && attempt <= known.attempt);
  }

  /** The attempt is this agent's business now. */
  take({ task, attempt, assignedMs = '0' }: Named, isProven = false): void {
    this.#taken.delete(task);
    this.#taken.set(task, { attempt, assignedMs: Number(assignedMs), isProven });
    if (this.#taken.size <= MAX_REMEMBERED) return;
    for (const [oldest, { assignedMs: atMs }] of this.#taken) {
      this.#taken.delete(oldest);
      this.#forgottenMs = Math.max(this.#forgottenMs, atMs);
      break;
    }
  }
}
