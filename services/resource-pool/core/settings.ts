/** What can be tuned. Times are machine time; replicas of one federation should agree on them. */
export interface PoolSettings {
  /** How often agents send heartbeats, in ms. Shorter: silence is noticed sooner; every beat costs the bus a message. */
  readonly heartbeatMs: number;
  /** An assignment that is not confirmed for so long, in ms, is given to another agent. */
  readonly confirmMs: number;
  /** A task fails after so many assignments that nobody confirmed: they do not count as attempts, but must end. */
  readonly maxUnconfirmed: number;
  /** A task fails after so many moves from agents that were taken back: they do not count as attempts, but must end. */
  readonly maxMoves: number;
  /**
   * The pool ends an attempt itself so long, in ms, after its time limit. Agents end it at the limit and should be first
   * to say so; a program that takes longer to end than this is told of as timed out while it still ends.
   */
  readonly timeoutGraceMs: number;
  /** A cancelled task that runs is ended so long, in ms, after the request, with or without its agent. */
  readonly cancelGraceMs: number;
  /**
   * How long an agent has the claim of a task that wants one, in ms from its last confirmation. Shorter: a task whose
   * agent was lost is tried again sooner. Longer: an agent's work outlives a longer outage of the pool or the bus.
   */
  readonly claimMs: number;
  /** A registered agent that was unreachable for so long, in ms, is removed. */
  readonly removeUnreachableMs: number;
  /** A migration that one swarm has asked for is cancelled when the other has not agreed for so long, in ms. */
  readonly proposalMs: number;
  /** A drained agent that has not registered in the swarm that it moves to for so long, in ms, stays where it is. */
  readonly transferMs: number;
  /** Agents of one federation; more are refused. */
  readonly maxAgents: number;
  /** Waiting tasks of one federation; more are refused. */
  readonly maxQueued: number;
  /** Groups of one federation that have not ended; more are refused. */
  readonly maxGroups: number;
  /** Waiting requests for agents of one federation; more are refused. */
  readonly maxRequests: number;
  /** Bytes of all checkpoints of one federation; beyond it they are refused. */
  readonly maxCheckpointBytes: number;
  /** Bytes of all artefacts of one federation; beyond it they are refused. */
  readonly maxArtefactBytes: number;
  /** Dead letters that are kept: the newest, up to about so many bytes, and no longer than so long, in ms. */
  readonly keepDeadLetters: number;
  readonly maxDeadBytes: number;
  readonly keepDeadMs: number;
  /** Ended tasks that are kept, at least; `retentionBatch` more are tolerated, so that many leave at once. */
  readonly keepTasks: number;
  /** Ended leases that are kept, at least. */
  readonly keepLeases: number;
  /** Ended migrations that are kept, at least. */
  readonly keepMigrations: number;
  /** Ended groups that are kept, at least. */
  readonly keepGroups: number;
  /** Ended tasks, groups, leases and migrations leave after so long, in ms, at the latest. */
  readonly keepMs: number;
  readonly retentionBatch: number;
  /**
   * Of how many agents an assignment or a lease keeps the scores, the chosen one's included, 0 to 3; 0 = of none. Each
   * is some 70 bytes of the record; all three of 10,000 agents in 50 classes take a decision half as long again.
   */
  readonly keptScores: number;
}

export const DEFAULT_SETTINGS: PoolSettings = {
  heartbeatMs: 1000,
  confirmMs: 10_000,
  maxUnconfirmed: 10,
  maxMoves: 100,
  timeoutGraceMs: 1000,
  cancelGraceMs: 15_000,
  claimMs: 15_000,
  removeUnreachableMs: 3_600_000,
  proposalMs: 3_600_000,
  transferMs: 60_000,
  maxAgents: 100_000,
  maxQueued: 100_000,
  maxGroups: 10_000,
  maxRequests: 10_000,
  maxCheckpointBytes: 64 << 20,
  maxArtefactBytes: 1 << 30,
  keepDeadLetters: 1000,
  maxDeadBytes: 32 << 20,
  keepDeadMs: 7 * 86_400_000,
  keepTasks: 10_000,
  keepLeases: 1000,
  keepMigrations: 1000,
  keepGroups: 1000,
  keepMs: 86_400_000,
  retentionBatch: 256,
  keptScores: 3,
};

export const DEFAULT_TASK_TIMEOUT_MS = 600_000;
export const DEFAULT_MAX_ATTEMPTS = 3;
export const DEFAULT_LEASE_TERM_MS = 60_000;
