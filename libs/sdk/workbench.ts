import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { taskLogSubject } from '../protocol/subjects.ts';
import type { Assignment, Outcome } from '../wire/hivebus/pool/v1/pool.ts';
import { Attempt, type Ending, type StopReason } from './attempt.ts';
import { AssignmentFence } from './fence.ts';
import type { Hive } from './hive.ts';
import type { AgentTask, TaskHandler } from './task.ts';
import { TaskLog } from './task-log.ts';
import { withTrace } from './trace-context.ts';

export interface WorkbenchOptions {
  readonly hive: Hive;
  /** As `swarm/name`. */
  readonly agent: string;
  readonly instance: string;
  readonly slots: number;
  readonly handler: TaskHandler;
  readonly abandonMs: number;
  readonly clock: Clock;
  /** Whether lines can be sent now. */
  readonly connected: () => boolean;
  /** Calls until it is accepted or refused for good. */
  readonly settled: <T>(call: () => Promise<T>) => Promise<T>;
  readonly tell: (text: string) => void;
}

/** Outcomes for people. */
const WORDS: Readonly<Record<Outcome, string>> = {
  OUTCOME_UNSPECIFIED: 'has ended',
  OUTCOME_SUCCEEDED: 'succeeded',
  OUTCOME_FAILED: 'failed',
  OUTCOME_TERMINAL: 'failed for good',
  OUTCOME_TIMED_OUT: 'was too slow',
  OUTCOME_CANCELLED: 'was cancelled',
  OUTCOME_LOST: 'is given back',
};

/** The attempts of one agent's instance: which to take, and each one's way from its assignment to its report. */
export class Workbench {
  readonly #options: WorkbenchOptions;
  readonly #fence = new AssignmentFence();
  readonly #attempts = new Map<string, Attempt>();
  #closed = false;

  constructor(options: WorkbenchOptions) {
    this.#options = options;
  }

  /** Attempts that are not over yet, reports included. */
  get size(): number {
    return this.#attempts.size;
  }

  get attempts(): readonly Attempt[] {
    return [...this.#attempts.values()];
  }

  /** Takes nothing new from now on. */
  close(): void {
    this.#closed = true;
  }

  stopAll(reason: StopReason): void {
    for (const attempt of this.#attempts.values()) attempt.stop(reason);
  }

  /** Resolves when all that is here now is over. */
  async drained(): Promise<void> {
    await Promise.all(this.attempts.map((attempt) => attempt.done));
  }

  /** Whether the assignment is in good hands; if not, the pool says it again or gives it to another. */
  accept(assignment: Assignment): boolean {
    const { task, attempt } = assignment;
    const verdict = this.#fence.judge(assignment);
    const current = this.#attempts.get(task);
    switch (verdict) {
      case 'stale':
        return false;
      case 'known':
        return true;
      case 'cancel':
        this.#cancel(assignment, current);
        return true;
      case 'start':
        if (this.#closed || !this.#hasRoom(current)) return false;
        this.#fence.take(task, attempt);
        this.#begin(new Attempt(assignment));
        return true;
    }
  }

  /**
   * An attempt whose work is done takes no slot any more, though its report may still be on its way: the pool gives out
   * the next task with the same commit, and its message may be the faster one.
   */
  #hasRoom(current: Attempt | undefined): boolean {
    if (current && !current.worked) {
      current.stop('superseded');
      return false;
    }
    const working = this.attempts.filter((attempt) => !attempt.worked).length;
    return working < this.#options.slots;
  }

  #cancel(assignment: Assignment, current: Attempt | undefined): void {
    if (current) {
      current.stop('cancelled');
      return;
    }
    // Cancelled before it was started here: nothing runs, and the pool wants to hear so.
    this.#fence.take(assignment.task, assignment.attempt);
    const attempt = new Attempt(assignment);
    attempt.stop('cancelled');
    this.#begin(attempt);
  }

  /** Everything that follows belongs to the trace of the task. The agent's own calls are no delegation: hop 0. */
  #begin(attempt: Attempt): void {
    const { traceparent, correlationId } = attempt.assignment;
    void withTrace({ traceparent, correlationId, hops: 0 }, () => this.#work(attempt));
  }

  async #work(attempt: Attempt): Promise<void> {
    const { task, attempt: number } = attempt.assignment;
    this.#attempts.set(task, attempt);
    try {
      const { cancel } = await this.#confirm(attempt);
      if (cancel) attempt.stop('cancelled');
      const ending = await this.#run(attempt);
      if (!attempt.abandoned) await this.#report(attempt, ending);
    } catch (error) {
      // Refused: the attempt is another's by now.
      this.#options.tell(`attempt ${number} of task ${task} dropped: ${HiveError.from(error).message}`);
    } finally {
      if (this.#attempts.get(task) === attempt) this.#attempts.delete(task);
      attempt.finish();
    }
  }

  #confirm(attempt: Attempt): Promise<{ cancel: boolean }> {
    const { task, attempt: number } = attempt.assignment;
    const { hive, instance, settled } = this.#options;
    return settled(() => hive.pool.confirmAssignment({ task, attempt: number, instance }));
  }

  async #run(attempt: Attempt): Promise<Ending> {
    if (attempt.signal.aborted) return { outcome: 'OUTCOME_CANCELLED', reason: 'cancelled before it started' };
    const { clock, handler, abandonMs, tell } = this.#options;
    const task = this.#taskOf(attempt.assignment);
    tell(`task ${task.id} attempt ${task.attempt} starts${task.title && `: ${task.title}`}`);
    const log = this.#logOf(task);
    const ending = await attempt.run(handler, task, log, clock, abandonMs);
    log.end();
    return ending;
  }

  #logOf({ id, attempt }: AgentTask): TaskLog {
    const { hive, clock, connected } = this.#options;
    const subject = taskLogSubject(hive.federation, id);
    return new TaskLog({
      ...{ task: id, attempt, clock, ready: connected },
      send: (line) => hive.nc.publish(subject, JSON.stringify(line)),
    });
  }

  async #report(attempt: Attempt, ending: Ending): Promise<void> {
    const { task, attempt: number } = attempt.assignment;
    const { hive, instance, settled, tell } = this.#options;
    await settled(() => hive.pool.reportTask({ task, attempt: number, instance, ...ending }));
    tell(`task ${task} attempt ${number} ${WORDS[ending.outcome]}${ending.reason && `: ${ending.reason}`}`);
  }

  #taskOf(assignment: Assignment): AgentTask {
    const { task: id, attempt, spec, traceparent, correlationId, hops } = assignment;
    if (!spec) throw new HiveError('INTERNAL', `the assignment of task ${id} says not what to do`);
    const { hive, agent } = this.#options;
    return { ...spec, id, attempt, federation: hive.federation, agent, traceparent, correlationId, hops };
  }
}
