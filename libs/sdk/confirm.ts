import { specDigest } from '../protocol/spec-digest.ts';
import type {
  Assignment,
  ConfirmAssignmentRequest,
  ConfirmAssignmentResponse,
  GetTaskRequest,
  GetTaskResponse,
} from '../wire/hivebus/pool/v1/pool.ts';

/** What the pool says of an attempt. */
export interface Confirmed {
  /** End it instead of running it. */
  readonly cancel: boolean;
  /** Of the leader that answered; 0 = an older pool, which does not say. */
  readonly epoch: number;
  /** What is to be done, as the pool has it. */
  readonly assignment: Assignment;
  /** The pool's revision of the answer. */
  readonly revision: string;
  /** The number of the task's last checkpoint; 0 = there is none. */
  readonly checkpoint: number;
  /** For how long the agent has the task's claim, in milliseconds from the sending of the request; 0 = it has none. */
  readonly claimMs: number;
  /** The tasks that it depends on. */
  readonly dependencies: readonly string[];
}

/** What this needs of a connection. */
export interface Asked {
  readonly pool: {
    confirmAssignment(request: ConfirmAssignmentRequest): Promise<ConfirmAssignmentResponse>;
    getTask(request: Pick<GetTaskRequest, 'id' | 'minRevision'>): Promise<GetTaskResponse>;
  };
}

/**
 * Confirms an assignment. What comes over the bus is not signed, so whoever reaches it can send an agent anything: an
 * attempt is run only when the pool says that it is this agent's, and only with the spec that the pool has.
 * `logKey`: what the attempt's log lines are signed with.
 * Rejects with ABORTED or NOT_FOUND when the attempt is not this agent's (any more).
 */
export async function confirm(hive: Asked, instance: string, assignment: Assignment, logKey = ''): Promise<Confirmed> {
  const { task: id, attempt } = assignment;
  const answer = await hive.pool.confirmAssignment({ task: id, attempt, instance, logKey });
  const { cancel, revision, checkpoint, claimMs, dependencies } = answer;
  const confirmed = { cancel, epoch: Number(answer.epoch), revision, checkpoint, claimMs, dependencies };
  const { spec } = assignment;
  const isTrue = spec !== undefined && (answer.specDigest === '' || answer.specDigest === specDigest(spec));
  if (answer.cancel || isTrue) return { assignment, ...confirmed };
  const { task } = await hive.pool.getTask({ id, minRevision: revision });
  return { assignment: { ...assignment, spec: task?.spec }, ...confirmed };
}
