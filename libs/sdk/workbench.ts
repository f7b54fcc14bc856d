import { trace } from '@opentelemetry/api';
import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { RESULT_ARTEFACT } from '../protocol/artefacts.ts';
import { taskLogSubject } from '../protocol/subjects.ts';
import { newKeyPair } from '../protocol/token.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import { ATTRIBUTE } from '../telemetry/attributes.ts';
import { withSpan } from '../telemetry/span.ts';
import { isSampled } from '../telemetry/traceparent.ts';
import type { Assignment, TaskProgress } from '../wire/hivebus/pool/v1/pool.ts';
import { storeArtefact } from './artefacts.ts';
import { Attempt, type Ending, type StopReason } from './attempt.ts';
import { attemptSpan, tellSpan } from './attempt-span.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { Claim } from './claim.ts';
import { Confirmations, type ConfirmedAt } from './confirmations.ts';
import { AssignmentFence } from './fence.ts';
import type { Hive } from './hive.ts';
import { LogSender } from './log-sender.ts';
import { fitsReport, inWords, Reports } from './reports.ts';
import type { AgentTask, TaskHandler } from './task.ts';
import { beforeOf, NOTHING_BEFORE, startsAnew, taskGiven } from './task-given.ts';
import { TaskLog } from './task-log.ts';
import type { Settled } from './together.ts';
import { withTrace } from './trace-context.ts';
import type { Volumes } from './volumes.ts';
import { isEnded } from './wait.ts';

export interface WorkbenchOptions {
  readonly hive: Hive;
  /** As `swarm/name`. */
  readonly agent: string;
  readonly instance: string;
  readonly slots: number;
  readonly handler: TaskHandler;
  readonly abandonMs: number;
  readonly clock: Clock;
  /** Where tasks keep folders; undefined = this agent keeps none. */
  readonly volumes?: Volumes | undefined;
  /** Whether lines can be sent now. */
  readonly connected: () => boolean;
  /** Calls until it is accepted or refused for good. */
  readonly settled: Settled;
  /** Whether the pool has lately heard of this agent, and so may still count on it. */
  readonly isHeard: () => boolean;
  readonly tell: (text: string) => void;
}

/** The agent stops, and says of a task with a claim that nothing of it runs here any more: nobody need wait for that. */
const GIVEN_BACK: Ending = { outcome: 'OUTCOME_LOST', reason: 'its agent stops' };
const MAX_REASON_CHARACTERS = 1024;
/** How long an attempt that did not succeed waits for its last checkpoint to be stored, in milliseconds. */
const FLUSH_MS = 2000;

/** The attempts of one agent's instance: which to take, and each one's way from its assignment to its report. */
export class Workbench {
  readonly #options: WorkbenchOptions;
  readonly #fence = new AssignmentFence();
  /** Signs log lines, so that nobody else's pass for this agent's. */
  readonly #logKey = newKeyPair();
  readonly #attempts = new Map<string, Attempt>();
  readonly #confirmations: Confirmations;
  readonly #reports: Reports;
  #closed = false;
  /** Resolves when the pool has been told that the agent leaves. */
  #told: Promise<void> | undefined;

  constructor(options: WorkbenchOptions) {
    this.#options = options;
    const { hive, instance, clock, settled, tell } = options;
    const heard = (epoch: number) => this.#fence.heard(epoch);
    const logKey = this.#logKey.publicKey;
    this.#confirmations = new Confirmations({ hive, instance, logKey, clock, settled, heard, tell });
    this.#reports = new Reports({ hive, instance, logKey, settled });
  }

  /** Attempts that are not over yet, reports included. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Attempts that nobody has stopped. */
  get goingOn(): number {
    return this.attempts.filter(({ stopReason }) => stopReason === undefined).length;
  }

  get attempts(): readonly Attempt[] {
    return [...this.#attempts.values()];
  }

  /** How far attempts are that have said it. */
  get progress(): TaskProgress[] {
    return this.attempts.flatMap(({ progress }) => progress ?? []);
  }

  /** Takes nothing new from now on. */
  close(): void {
    this.#closed = true;
  }

  /** The agent is taken out of service, as the pool knows, or does when `told` resolves. */
  leave(told?: Promise<void>): void {
    this.#told = told;
    for (const attempt of this.#attempts.values()) attempt.leave();
  }

  stopAll(reason: StopReason): void {
    for (const attempt of this.#attempts.values()) attempt.stop(reason);
  }

  /** Resolves when all that is here now is over. */
  async drained(): Promise<void> {
    await Promise.all(this.attempts.map((attempt) => attempt.done));
  }

  /** Takes in what the pool has answered: what it says is so. */
  acceptAnswered(assignment: Assignment): void {
    this.#fence.heard(Number(assignment.epoch));
    const current = this.#attempts.get(assignment.task);
    if (assignment.cancel && current) current.stop('cancelled');
    else this.accept(assignment, true);
  }

  /**
   * Whether an assignment that came over the bus is in good hands; if not, the pool says it again or gives it to another.
   * Anybody can send one, so all that follows from it rests on what the pool answers when it is asked; unless it is `proven`
   * to be the pool's, and may be begun at once.
   */
  accept(assignment: Assignment, proven = false): boolean {
    const { task, attempt } = assignment;
    const verdict = this.#fence.judge(assignment, proven);
    const current = this.#attempts.get(task);
    switch (verdict) {
      case 'stale':
        return false;
      case 'known':
        if (proven) this.#fence.take(assignment, true);
        return true;
      case 'cancel':
        if (!current)
          return this.#closed || (!proven && this.#fence.hasTaken(assignment)) || this.#start(assignment, false);
        void this.#confirmations.doubt(current);
        return true;
      case 'start':
        if (!current || current.worked) return this.#start(assignment, proven);
        if (attempt !== current.assignment.attempt) void this.#confirmations.doubt(current);
        return false;
    }
  }

  /**
   * An attempt whose work is done takes no slot any more, though its report may still be on its way: the pool gives out
   * the next task with the same commit, and its message may be the faster one.
   */
  #start(assignment: Assignment, proven: boolean): boolean {
    if (this.#closed || (this.#attempts.size >= this.#options.slots && this.#working() >= this.#options.slots))
      return false;
    const mayBegin = proven && assignment.atOnce === true && this.#fence.isFresh(assignment) && this.#options.isHeard();
    this.#fence.take(assignment, proven);
    this.#begin(new Attempt(assignment, mayBegin));
    return true;
  }

  #working(): number {
    let working = 0;
    for (const attempt of this.#attempts.values()) if (!attempt.worked) working++;
    return working;
  }

  /** Everything that follows belongs to the trace of the task. The agent's own calls are no delegation: hop 0. */
  #begin(attempt: Attempt): void {
    const { traceparent, correlationId } = attempt.assignment;
    const { hive, agent, instance } = this.#options;
    const span = () => attemptSpan(attempt.assignment, { federation: hive.federation, agent, instance });
    const work = () => this.#work(attempt);
    const run = isSampled(traceparent) ? () => withSpan(...span(), work) : work;
    void withTrace({ traceparent, correlationId, hops: 0 }, run);
  }

  async #work(attempt: Attempt): Promise<void> {
    const { task, attempt: number } = attempt.assignment;
    this.#attempts.set(task, attempt);
    try {
      const confirmed = attempt.confirmed ? await this.#confirmFirst(attempt) : this.#atOnce(attempt);
      const { cancel, assignment } = confirmed;
      if (cancel) attempt.stop('cancelled');
      if (assignment !== attempt.assignment) {
        this.#options.tell(
          `what task ${task} shall do was asked of the pool: the message did not say what the pool says`,
        );
      }
      using claim = this.#claimOf(attempt, confirmed);
      const ending = await this.#run(attempt, confirmed, claim);
      tellSpan(ending);
      // Nobody else may begin as long as something still runs here, and that is for the pool to wait for.
      if (claim && attempt.leftBehind) return;
      if (!attempt.abandoned) await this.#report(attempt, ending);
      else if (claim && attempt.stopReason === 'agent-stopped') await this.#report(attempt, GIVEN_BACK);
    } catch (error) {
      // Refused: the attempt is another's by now.
      this.#options.tell(`attempt ${number} of task ${task} dropped: ${HiveError.from(error).message}`);
    } finally {
      if (this.#attempts.get(task) === attempt) this.#attempts.delete(task);
      attempt.finish();
    }
  }

  async #confirmFirst(attempt: Attempt): Promise<ConfirmedAt> {
    try {
      return await this.#confirmations.before(attempt);
    } catch (error) {
      this.#fence.refused(attempt.assignment.task, attempt.assignment.attempt);
      throw error;
    }
  }

  /** The pool is told while it runs. */
  #atOnce(attempt: Attempt): ConfirmedAt {
    const { assignment } = attempt;
    this.#confirmations.soon(attempt);
    const nothing = { cancel: false, revision: '0', checkpoint: 0, claimMs: 0, dependencies: [], sentAt: 0 };
    return { assignment, epoch: Number(assignment.epoch), ...nothing };
  }

  #claimOf(attempt: Attempt, { claimMs: termMs, sentAt, cancel }: ConfirmedAt): Claim | undefined {
    if (termMs === 0 || cancel) return undefined;
    const { hive, instance, clock, tell } = this.#options;
    const { task, attempt: number } = attempt.assignment;
    const logKey = this.#logKey.publicKey;
    const over = () => {
      tell(`the claim of task ${task} could not be renewed in time: attempt ${number} is ended`);
      attempt.stop('claim-over');
    };
    return new Claim({
      ...{ termMs, sentAt, clock },
      renew: (timeoutMs) =>
        hive.pool.confirmAssignment({ task, attempt: number, instance, logKey }, { timeoutMs, trace: BACKGROUND }),
      onRefused: () => attempt.stop('superseded'),
      onOver: over,
    });
  }

  async #run(attempt: Attempt, confirmed: ConfirmedAt, claim: Claim | undefined): Promise<Ending> {
    if (attempt.stopReason) return { outcome: 'OUTCOME_CANCELLED', reason: 'cancelled before it started' };
    const { hive, agent, settled, clock, handler, abandonMs, tell } = this.#options;
    const before = startsAnew(confirmed) ? NOTHING_BEFORE : await beforeOf(hive, settled, confirmed);
    const task = taskGiven(confirmed.assignment, before, hive.federation, agent);
    tell(`task ${task.id} attempt ${task.attempt} starts${task.title && `: ${task.title}`}`);
    const log = this.#logOf(attempt, task);
    const saver = new CheckpointSaver((data) => this.#save(attempt, data));
    const save = async (data: unknown) => (task.continuity?.resume ? saver.save(data) : undefined);
    const artefact = (name: string, content: Uint8Array | string, mediaType = '') =>
      this.#store(attempt, name, Buffer.from(content), mediaType);
    const run = (volumes?: Readonly<Record<string, string>>) =>
      attempt.run(handler, task, { log, artefact, checkpoint: save, claim, volumes }, clock, abandonMs);
    const ended = await (task.volumes ? this.#withVolumes(task.id, task.volumes, run) : run());
    log.end();
    if (!attempt.confirmed && log.lines > 0) await this.#confirmations.known(attempt);
    trace.getActiveSpan()?.setAttribute(ATTRIBUTE.logLines, log.lines);
    saver.close();
    const ending = fitsReport(ended) || attempt.abandoned ? ended : await this.#withRoom(attempt, ended);
    // What it said last is what the next attempt goes on from.
    if (ending.outcome !== 'OUTCOME_SUCCEEDED') await Promise.race([saver.flushed(), pause(clock, FLUSH_MS)]);
    return ending;
  }

  async #withVolumes(
    id: string,
    wanted: NonNullable<AgentTask['volumes']>,
    run: (volumes: Readonly<Record<string, string>>) => Promise<Ending>,
  ): Promise<Ending> {
    const { volumes } = this.#options;
    if (!volumes) return { outcome: 'OUTCOME_FAILED', reason: 'this agent keeps no volumes: it has no data folder' };
    try {
      return await run(await volumes.of(id, wanted.names));
    } catch (error) {
      return { outcome: 'OUTCOME_FAILED', reason: `its volumes cannot be made: ${HiveError.from(error).message}` };
    }
  }

  async #store(running: Attempt, name: string, content: Uint8Array, mediaType: string): Promise<void> {
    const { hive, instance, settled } = this.#options;
    const { task, attempt } = running.assignment;
    if (!running.confirmed) await this.#confirmations.known(running); // files are taken of what runs
    return storeArtefact(hive.pool, { task, attempt, instance }, { name, mediaType, content }, settled);
  }

  /** A result that is too large for a report is an artefact. */
  async #withRoom(attempt: Attempt, ending: Ending): Promise<Ending> {
    try {
      const text = JSON.stringify(ending.result);
      await this.#store(attempt, RESULT_ARTEFACT, Buffer.from(text), 'application/json');
      return { outcome: ending.outcome, reason: ending.reason };
    } catch (error) {
      const reason = `its result cannot be stored: ${HiveError.from(error).message}`.slice(0, MAX_REASON_CHARACTERS);
      return { outcome: 'OUTCOME_FAILED', reason };
    }
  }

  #save({ assignment }: Attempt, data: unknown): Promise<unknown> {
    const { hive, instance, settled } = this.#options;
    const { task, attempt } = assignment;
    return settled(() => hive.pool.saveCheckpoint({ task, attempt, instance, data }));
  }

  /** The pool must know the key before it is asked for lines that are signed with it. */
  #logOf(attempt: Attempt, { id, attempt: number }: AgentTask): TaskLog {
    const { hive, clock, connected } = this.#options;
    const subject = taskLogSubject(hive.federation, id);
    const known = () => (attempt.confirmed ? undefined : this.#confirmations.known(attempt));
    const sender = new LogSender(hive.nc, subject, this.#logKey, known);
    return new TaskLog({ task: id, attempt: number, clock, ready: connected, send: (line) => sender.send(line) });
  }

  async #report(attempt: Attempt, ending: Ending): Promise<void> {
    const { task, attempt: number } = attempt.assignment;
    const { tell, volumes } = this.#options;
    const { outcome, reason } = ending;
    if (outcome === 'OUTCOME_LOST') await this.#told; // what is given back uses up an attempt of whoever stays
    const state = await this.#reports.send(attempt, ending);
    if (attempt.assignment.spec?.volumes && isEnded({ state })) await volumes?.remove(task);
    tell(`task ${task} attempt ${number} ${inWords(outcome)}${reason && `: ${reason}`}`);
  }
}
