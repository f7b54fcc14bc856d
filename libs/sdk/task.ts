import type { TaskSpec } from '../wire/hivebus/pool/v1/pool.ts';
import type { Dependency } from './dependencies.ts';

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
  /** Of a task that resumes: the last checkpoint that an earlier attempt has stored; undefined = there is none. */
  readonly checkpoint?: unknown;
  /** Of a task that depends on others: how each of these ended, in the order of `ties.after`. */
  readonly dependencies?: readonly Dependency[];
}

export interface TaskRun {
  readonly attempt: number;
  readonly traceparent: string;
  /** Aborts on cancel, at the time limit, when the attempt was given to another, and when the agent stops. */
  readonly signal: AbortSignal;
  /**
   * Aborts when the agent is taken out of service, or moves to another swarm: what runs has some time left, and what is not
   * done then goes on elsewhere. A good moment for a checkpoint, where there are few. A handler that throws its reason gives
   * the task back at once, with no attempt used up.
   */
  readonly leaving: AbortSignal;
  /** Adds a line to the task's log; bounded, never blocks. */
  log(text: string, stream?: 'stdout' | 'stderr'): void;
  /**
   * Stores how far this attempt has come (any JSON, at most 64 KiB), in place of what was stored before: a later attempt
   * gets it as `task.checkpoint`. Resolves when it is stored, so that work before it need not be done again. Said faster
   * than it can be stored, the newest counts. Rejects with ABORTED when the attempt is not this agent's any more. Of a task
   * that does not resume nothing is stored.
   */
  checkpoint(data: unknown): Promise<void>;
  /**
   * Says how far this attempt is, for people: how much is done, in percent, if that is known, and what it is at. It goes with the
   * agent's next heartbeat, and nothing rests on it.
   */
  progress(percent: number | undefined, text?: string): void;
  /**
   * Stores a file, up to 64 MiB, under a name of this attempt's own; whoever has the task reads it by `readArtefact`, or
   * `hivebus task artefacts`. It leaves with the task, or with this attempt when another follows.
   */
  artefact(name: string, content: Uint8Array | string, mediaType?: string): Promise<void>;
  /** Of a task with volumes: its folders by name, which it finds again at its next attempt. */
  readonly volumes?: Readonly<Record<string, string>> | undefined;
  /** Of a task with a claim. `signal` aborts when it is over, too. */
  readonly claim?: TaskClaim | undefined;
}

/** The exclusive right to run a task: what runs when it is over runs beside the next attempt. */
export interface TaskClaim {
  /** Aborts when the claim is over, because it could not be renewed: what still runs must be killed. */
  readonly over: AbortSignal;
  /** Tells how long the claim lasts from now, in milliseconds: at once, and whenever it was renewed. */
  follow(listener: (leftMs: number) => void): void;
}

/**
 * Does the work. What it resolves to (any JSON, at most 64 MiB, of which what is over 256 KiB is
 * stored as the artefact `result`) is the result. A HiveError that is not retryable ends
 * the task for good; anything else that is thrown fails this attempt, and the task is tried again while it may be.
 */
export type TaskHandler = (task: AgentTask, run: TaskRun) => Promise<unknown>;
