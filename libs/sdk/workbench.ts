import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { RESULT_ARTEFACT } from '../protocol/artefacts.ts';
import { assignmentSubject, taskLogSubject } from '../protocol/subjects.ts';
import { newKeyPair } from '../protocol/token.ts';
import { activeTraceparent, BACKGROUND } from '../rpc/observe.ts';
import { ATTRIBUTE, messaging } from '../telemetry/attributes.ts';
import { type SpanOptions, withSpan } from '../telemetry/span.ts';
import { isSampled } from '../telemetry/traceparent.ts';
import type {
  Assignment,
  ConfirmAssignmentRequest,
  ConfirmAssignmentResponse,
  Outcome,
  ReportedTask,
  ReportTaskRequest,
  TaskProgress,
} from '../wire/hivebus/pool/v1/pool.ts';
import { storeArtefact } from './artefacts.ts';
import { Attempt, type Ending, type StopReason } from './attempt.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { Claim } from './claim.ts';
import { type Asked, type Confirmed, confirm } from './confirm.ts';
import { type Dependency, dependenciesOf } from './dependencies.ts';
import { AssignmentFence } from './fence.ts';
import type { Hive } from './hive.ts';
import { LogSender } from './log-sender.ts';
import type { AgentTask, TaskHandler } from './task.ts';
import { TaskLog } from './task-log.ts';
import { Together } from './together.ts';
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
  OUTCOME_MOVED: 'moves to another agent',
};

/** What the pool said, and when it was asked, on the clock's monotonic time. */
type ConfirmedAt = Confirmed & { readonly sentAt: number };

/** The agent stops, and says of a task with a claim that nothing of it runs here any more: nobody need wait for that. */
const GIVEN_BACK: Ending = { outcome: 'OUTCOME_LOST', reason: 'its agent stops' };
/** What a report has room for. */
const MAX_RESULT_BYTES = 256 * 1024;
/** Results that are reported together with others', each, in bytes: the bus carries 1 MiB in a message. */
const SMALL_BYTES = 2048;
/** So many confirmations or reports go in one call. */
const MAX_TOGETHER = 100;
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
  /** Attempts of which the pool is being asked whether they still are this agent's. */
  readonly #doubted = new Set<Attempt>();
  readonly #confirmations: Together<ConfirmAssignmentRequest, ConfirmAssignmentResponse | undefined>;
  readonly #reports: Together<ReportTaskRequest, ReportedTask | undefined>;
  #closed = false;

  constructor(options: WorkbenchOptions) {
    this.#options = options;
    const { hive } = options;
    this.#confirmations = this.#together(async (confirmations) => {
      const answer = await hive.pool.confirmAssignments({ confirmations }, { trace: BACKGROUND });
      return answer.confirmations.map((each) => each.answer);
    });
    this.#reports = this.#together(async (reports) => {
      const answer = await hive.pool.reportTasks({ reports }, { trace: BACKGROUND });
      return answer.reports.map((each) => (each.refusal ? undefined : each));
    });
  }

  /**
   * Calls of one tick as one. What it gives no answer for is asked again alone, and answered as what came alone: what is
   * refused, what has no company, and all when the call cannot be made, as with an older pool.
   */
  #together<Request, Answer>(
    all: (requests: Request[]) => Promise<(Answer | undefined)[]>,
  ): Together<Request, Answer | undefined> {
    const { settled } = this.#options;
    // What the bus cannot carry together will not pass by itself, as other refusals do for which it is asked again.
    const unlessTooLarge = (requests: Request[]) =>
      all(requests).catch((cause) => {
        if (HiveError.from(cause).reason === 'TOO_LARGE') return [];
        throw cause;
      });
    return new Together(
      async (requests) => (requests.length === 1 ? [] : settled(() => unlessTooLarge(requests)).catch(() => [])),
      MAX_TOGETHER,
    );
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

  /** The agent is taken out of service. */
  leave(): void {
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
    else this.accept(assignment);
  }

  /**
   * Whether an assignment that came over the bus is in good hands; if not, the pool says it again or gives it to another.
   * Anybody can send one, so all that follows from it rests on what the pool answers when it is asked.
   */
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
        if (!current) return this.#closed || this.#start(assignment);
        void this.#doubt(current);
        return true;
      case 'start':
        if (!current || current.worked) return this.#start(assignment);
        if (attempt !== current.assignment.attempt) void this.#doubt(current);
        return false;
    }
  }

  /**
   * An attempt whose work is done takes no slot any more, though its report may still be on its way: the pool gives out
   * the next task with the same commit, and its message may be the faster one.
   */
  #start(assignment: Assignment): boolean {
    if (this.#closed || (this.#attempts.size >= this.#options.slots && this.#working() >= this.#options.slots))
      return false;
    this.#fence.take(assignment.task, assignment.attempt);
    this.#begin(new Attempt(assignment));
    return true;
  }

  #working(): number {
    let working = 0;
    for (const attempt of this.#attempts.values()) if (!attempt.worked) working++;
    return working;
  }

  /** Somebody says that an attempt shall end, or that there is a later one: it ends when the pool says so, too. */
  async #doubt(attempt: Attempt): Promise<void> {
    if (attempt.worked || this.#doubted.has(attempt)) return;
    this.#doubted.add(attempt);
    const { tell } = this.#options;
    const { task, attempt: number } = attempt.assignment;
    try {
      if ((await this.#confirm(attempt)).cancel) attempt.stop('cancelled');
      else tell(`a message that attempt ${number} of task ${task} shall end is not the pool's: it goes on`);
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code === 'ABORTED' || error.code === 'NOT_FOUND') attempt.stop('superseded');
      else tell(`cannot ask about attempt ${number} of task ${task}: ${error.message}`);
    } finally {
      this.#doubted.delete(attempt);
    }
  }

  /** Everything that follows belongs to the trace of the task. The agent's own calls are no delegation: hop 0. */
  #begin(attempt: Attempt): void {
    const { traceparent, correlationId } = attempt.assignment;
    const work = () => this.#work(attempt);
    const run = isSampled(traceparent) ? () => withSpan(...this.#spanOf(attempt.assignment), work) : work;
    void withTrace({ traceparent, correlationId, hops: 0 }, run);
  }

  /** The span of an attempt, from its assignment to its report. */
  #spanOf(assignment: Assignment): [name: string, options: SpanOptions] {
    const { task, attempt, traceparent, spec } = assignment;
    const { hive, agent, instance } = this.#options;
    const [swarm = '', name = ''] = agent.split('/');
    const subject = assignmentSubject(hive.federation, swarm, name, instance);
    const type = spec?.type ?? '';
    const attributes = {
      ...messaging({ name: 'run', type: 'process', subject, trace: assignment }),
      [ATTRIBUTE.task]: task,
      [ATTRIBUTE.taskType]: type,
      [ATTRIBUTE.taskTitle]: spec?.title ?? '',
      [ATTRIBUTE.attempt]: attempt,
      [ATTRIBUTE.agent]: agent,
      [ATTRIBUTE.instance]: instance,
    };
    return [`run ${type}`, { kind: SpanKind.CONSUMER, parent: traceparent, attributes }];
  }

  async #work(attempt: Attempt): Promise<void> {
    const { task, attempt: number } = attempt.assignment;
    this.#attempts.set(task, attempt);
    try {
      const confirmed = await this.#confirmFirst(attempt);
      const { cancel, epoch, assignment } = confirmed;
      this.#fence.heard(epoch);
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
      return await this.#confirm(attempt);
    } catch (error) {
      this.#fence.forget(attempt.assignment.task, attempt.assignment.attempt);
      throw error;
    }
  }

  async #confirm({ assignment }: Attempt): Promise<ConfirmedAt> {
    const { hive, instance, settled, clock } = this.#options;
    const { traceparent, spec } = assignment;
    const ask = async (asked: Asked) => {
      const sentAt = clock.monotonic();
      return { sentAt, ...(await confirm(asked, instance, assignment, this.#logKey.publicKey)) };
    };
    // A claim counts from the sending of what was answered, and not of what was lost.
    if (isSampled(traceparent) || spec?.continuity?.claim) return settled(() => ask(hive));
    const confirmAssignment = async (request: ConfirmAssignmentRequest) =>
      (await this.#confirmations.call(request)) ?? settled(() => hive.pool.confirmAssignment(request));
    return ask({ pool: { confirmAssignment, getTask: (request) => settled(() => hive.pool.getTask(request)) } });
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
    const { clock, handler, abandonMs, tell } = this.#options;
    const [checkpoint, dependencies] = await Promise.all([this.#lastCheckpoint(confirmed), this.#before(confirmed)]);
    const given = this.#taskOf(confirmed.assignment, checkpoint);
    const task = dependencies.length > 0 ? { dependencies, ...given } : given;
    tell(`task ${task.id} attempt ${task.attempt} starts${task.title && `: ${task.title}`}`);
    const log = this.#logOf(task);
    const saver = new CheckpointSaver((data) => this.#save(attempt, data));
    const save = async (data: unknown) => (task.continuity?.resume ? saver.save(data) : undefined);
    const artefact = (name: string, content: Uint8Array | string, mediaType = '') =>
      this.#store(attempt, name, Buffer.from(content), mediaType);
    const ended = await this.#withVolumes(task, (volumes) =>
      attempt.run(handler, task, { log, artefact, checkpoint: save, claim, volumes }, clock, abandonMs),
    );
    log.end();
    trace.getActiveSpan()?.setAttribute(ATTRIBUTE.logLines, log.lines);
    saver.close();
    const ending = await this.#withRoom(attempt, ended);
    // What it said last is what the next attempt goes on from.
    if (ending.outcome !== 'OUTCOME_SUCCEEDED') await Promise.race([saver.flushed(), pause(clock, FLUSH_MS)]);
    return ending;
  }

  async #withVolumes(
    { id, volumes: wanted }: AgentTask,
    run: (volumes?: Readonly<Record<string, string>>) => Promise<Ending>,
  ): Promise<Ending> {
    const { volumes } = this.#options;
    if (!wanted) return run();
    if (!volumes) return { outcome: 'OUTCOME_FAILED', reason: 'this agent keeps no volumes: it has no data folder' };
    try {
      return await run(await volumes.of(id, wanted.names));
    } catch (error) {
      return { outcome: 'OUTCOME_FAILED', reason: `its volumes cannot be made: ${HiveError.from(error).message}` };
    }
  }

  async #lastCheckpoint({ checkpoint, assignment, revision }: ConfirmedAt): Promise<unknown> {
    if (checkpoint === 0) return undefined;
    const { hive, settled } = this.#options;
    const request = { task: assignment.task, minRevision: revision };
    return (await settled(() => hive.pool.getCheckpoint(request))).checkpoint?.data;
  }

  #store({ assignment }: Attempt, name: string, content: Uint8Array, mediaType: string): Promise<void> {
    const { hive, instance, settled } = this.#options;
    const { task, attempt } = assignment;
    return storeArtefact(hive.pool, { task, attempt, instance }, { name, mediaType, content }, settled);
  }

  /** A result that is too large for a report is an artefact. */
  async #withRoom(attempt: Attempt, ending: Ending): Promise<Ending> {
    const { resultBytes = 0 } = ending;
    if (resultBytes <= MAX_RESULT_BYTES || attempt.abandoned) return ending;
    try {
      const text = JSON.stringify(ending.result);
      await this.#store(attempt, RESULT_ARTEFACT, Buffer.from(text), 'application/json');
      return { outcome: ending.outcome, reason: ending.reason };
    } catch (error) {
      const reason = `its result cannot be stored: ${HiveError.from(error).message}`.slice(0, MAX_REASON_CHARACTERS);
      return { outcome: 'OUTCOME_FAILED', reason };
    }
  }

  /** How the tasks that it depends on have ended. */
  #before({ dependencies, revision }: ConfirmedAt): Promise<Dependency[]> {
    const { hive, settled } = this.#options;
    return dependenciesOf((id) => settled(() => hive.pool.getTask({ id, minRevision: revision })), dependencies);
  }

  #save({ assignment }: Attempt, data: unknown): Promise<unknown> {
    const { hive, instance, settled } = this.#options;
    const { task, attempt } = assignment;
    return settled(() => hive.pool.saveCheckpoint({ task, attempt, instance, data }));
  }

  #logOf({ id, attempt }: AgentTask): TaskLog {
    const { hive, clock, connected } = this.#options;
    const subject = taskLogSubject(hive.federation, id);
    const sender = new LogSender(hive.nc, subject, this.#logKey);
    return new TaskLog({ task: id, attempt, clock, ready: connected, send: (line) => sender.send(line) });
  }

  async #report(attempt: Attempt, ending: Ending): Promise<void> {
    const { task, attempt: number } = attempt.assignment;
    const { hive, instance, settled, tell, volumes } = this.#options;
    const { outcome, result, reason, resultBytes = 0 } = ending;
    const report = { task, attempt: number, instance, outcome, result, reason };
    const goesAlone = isSampled(attempt.assignment.traceparent) || resultBytes > SMALL_BYTES;
    const together = goesAlone ? undefined : await this.#reports.call(report);
    const { state } = together ?? (await settled(() => hive.pool.reportTask(report)));
    if (attempt.assignment.spec?.volumes && isEnded({ state })) await volumes?.remove(task);
    tell(`task ${task} attempt ${number} ${WORDS[outcome]}${reason && `: ${reason}`}`);
  }

  #taskOf(assignment: Assignment, checkpoint: unknown): AgentTask {
    const { task: id, attempt, spec, correlationId, hops } = assignment;
    const traceparent = activeTraceparent() || assignment.traceparent;
    if (!spec) throw new HiveError('INTERNAL', `the assignment of task ${id} says not what to do`);
    const { hive, agent } = this.#options;
    const task = { id, attempt, federation: hive.federation, agent, traceparent, correlationId, hops, ...spec };
    return checkpoint === undefined ? task : { checkpoint, ...task };
  }
}

/** What came of an attempt, in its span, if it has one. */
function tellSpan({ outcome, reason }: Ending): void {
  const span = trace.getActiveSpan();
  span?.setAttribute(ATTRIBUTE.outcome, WORDS[outcome]);
  if (outcome !== 'OUTCOME_SUCCEEDED') span?.setStatus({ code: SpanStatusCode.ERROR, message: reason });
}
