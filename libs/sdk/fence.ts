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

type Named = Pick<Assignment, 'task' | 'attempt' | 'assignedMs' | 'atOnce'>;
type Judged = Named & Pick<Assignment, 'epoch' | 'cancel'>;

interface Taken {
  /** 0 = none. */
  readonly attempt: number;
  /** When the pool has last assigned the task to this agent, by its time, as the pool itself says; 0 = it has not said. */
  readonly assignedMs: number;
  /** It came as one that may begin at once. */
  readonly atOnce?: boolean | undefined;
  /** It is the pool that says so. */
  readonly isProven?: boolean;
  /** The highest attempt of which the pool has said that it is not this agent's. */
  readonly refused?: number;
  /** What was taken of the task before it. */
  readonly before?: Taken | undefined;
}

/** How many ended attempts are remembered at least, so that a late repeat of one is not run again. */
const REMEMBERED = 4096;
/** So many are forgotten at once: a Map takes as long to find its oldest key as keys were deleted before it. */
const FORGOTTEN_AT_ONCE = 256;

/**
 * Sorts out repeated, late and foreign assignments by the leader's epoch and the attempt's number. What an assignment
 * itself says moves nothing here: only what the pool has answered does.
 */
export class AssignmentFence {
  #epoch = 0;
  /** The highest attempt taken of each task, oldest first. */
  readonly #taken = new Map<string, Taken>();
  /** What was assigned up to here may have been taken and forgotten. Only the pool's own word moves it. */
  #forgottenMs = 0;
  /** The latest time of an assignment that the pool itself has said. */
  #latestMs = 0;

  /** `proven`: it is the pool that says it. What it has assigned later is another task, whose id was free again. */
  judge(assignment: Judged, proven = false): Verdict {
    if (Number(assignment.epoch) < this.#epoch) return 'stale';
    const known = this.#taken.get(assignment.task);
    const isAnother = proven && known?.isProven && Number(assignment.assignedMs ?? 0) > known.assignedMs;
    const taken = known && !isAnother ? known.attempt : 0;
    if (assignment.attempt < taken) return 'stale';
    if (assignment.cancel) return 'cancel';
    return assignment.attempt === taken ? 'known' : 'start';
  }

  /** The pool's leader has answered in this epoch: what older ones sent is stale. */
  heard(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch);
  }

  /** The attempt was taken, and nothing that comes begins it again. */
  hasTaken({ task, attempt }: Named): boolean {
    return this.#taken.get(task)?.attempt === attempt;
  }

  /**
   * The pool says that the attempt is not this agent's: what was taken before it still is. One that has ended here may be the
   * current one until the pool has heard so, and would be confirmed once more.
   */
  refused(task: string, attempt: number): void {
    const known = this.#taken.get(task);
    if (known?.attempt !== attempt) return;
    const { assignedMs, atOnce, before } = known;
    this.#taken.set(task, { ...(before ?? { attempt: 0, atOnce }), assignedMs, refused: attempt });
  }

  /**
   * Surely no repeat of one that was taken long ago, or that the pool has refused: a message that is the pool's may be sent
   * again by anybody.
   */
  isFresh({ task, attempt, assignedMs = '0' }: Named): boolean {
    const known = this.#taken.get(task);
    return Number(assignedMs) > this.#forgottenMs && attempt > (known?.refused ?? 0);
  }

  /** The attempt is this agent's business now; or it was, and the pool itself says so, too. */
  take({ task, attempt, assignedMs = '0', atOnce }: Named, isProven = false): void {
    const provenMs = isProven ? Number(assignedMs) : 0;
    this.#latestMs = Math.max(this.#latestMs, provenMs);
    const known = this.#taken.get(task);
    const last = known && known.attempt < attempt ? known : known?.before;
    const before = last && last.attempt > 0 && last.attempt < attempt ? { ...last, before: undefined } : undefined;
    const latestMs = Math.max(known?.assignedMs ?? 0, provenMs);
    if (known) this.#taken.delete(task); // to the end
    this.#taken.set(task, { attempt, assignedMs: latestMs, atOnce, isProven, refused: known?.refused ?? 0, before });
    if (this.#taken.size > REMEMBERED + FORGOTTEN_AT_ONCE) this.#forgetOldest();
  }

  #forgetOldest(): void {
    for (const [oldest, taken] of this.#taken) {
      if (this.#taken.size <= REMEMBERED) return;
      this.#taken.delete(oldest);
      this.#forgottenMs = Math.max(this.#forgottenMs, this.#assignedBy(taken));
    }
  }

  /** What the pool has not said of a message that could begin at once: so much has been assigned since that it was before. */
  #assignedBy({ assignedMs, atOnce }: Taken): number {
    return assignedMs === 0 && atOnce ? this.#latestMs : assignedMs;
  }
}
