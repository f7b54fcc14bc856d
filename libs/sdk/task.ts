import type { TaskSpec } from '../wire/hivebus/pool/v1/pool.ts';

/** One attempt at a task, as a handler sees it. */
export interface AgentTask extends TaskSpec {
  readonly id: string;
  /** From 1; a task may be tried again, also when an earlier attempt got far. */
  readonly attempt: number;
  readonly federation: string;
  /** The agent that runs it, as `swarm/name`. */
  readonly agent: string;
  /** W3C trace context to carry on from, or empty. */
  readonly traceparent: string;
  readonly correlationId: string;
  /** How many hops the submission took; work that is handed on gets one more. */
  readonly hops: number;
}

export interface TaskRun {
  readonly attempt: number;
  readonly traceparent: string;
  /** Aborts on cancel, at the time limit, when the attempt was given to another, and when the agent stops. */
  readonly signal: AbortSignal;
  /** Adds a line to the task's log; bounded, never blocks. */
  log(text: string, stream?: 'stdout' | 'stderr'): void;
}

/**
 * Does the work. What it resolves to (any JSON, at most 256 KiB) is the result. A HiveError that is not retryable ends
 * the task for good; anything else that is thrown fails this attempt, and the task is tried again while it may be.
 */
export type TaskHandler = (task: AgentTask, run: TaskRun) => Promise<unknown>;
