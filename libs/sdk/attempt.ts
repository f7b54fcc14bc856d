import type { Clock } from '../kernel/clock.ts';
import { formatDuration } from '../kernel/durations.ts';
import { HiveError } from '../kernel/errors.ts';
import { MAX_ARTEFACT_BYTES } from '../protocol/artefacts.ts';
import type { Assignment, Outcome, TaskProgress, TaskSpec } from '../wire/hivebus/pool/v1/pool.ts';
import { within } from './context.ts';
import type { AgentTask, TaskHandler, TaskRun } from './task.ts';
import type { TaskLog } from './task-log.ts';
import { traceOfTask } from './trace-context.ts';

/** Why an attempt is ended from outside. The first reason counts. */
export type StopReason = 'cancelled' | 'timed-out' | 'superseded' | 'agent-stopped' | 'claim-over';

/** What a handler is given besides the task and its signal. */
export interface Given extends Pick<TaskRun, 'artefact' | 'checkpoint' | 'claim' | 'volumes'> {
  readonly log: TaskLog;
}

/** What is reported of an attempt. */
export interface Ending {
  readonly outcome: Outcome;
  readonly result?: unknown;
  /** Of the result as JSON; undefined = there is none. */
  readonly resultBytes?: number;
  readonly reason: string;
}

const MAX_REASON_CHARACTERS = 1024;
const MAX_PROGRESS_CHARACTERS = 256;
const LEAVING = new HiveError(
  'CANCELLED',
  'the agent is taken out of service: what is not done soon goes on elsewhere',
);

/** One attempt on this agent, from its assignment to its ending. */
export class Attempt {
  readonly assignment: Assignment;
  /** The pool knows that it is here; else it is told while it runs, or by the report. */
  confirmed: boolean;
  /** Resolves when nothing of it runs any more and its ending was taken or is nobody's business. */
  readonly done: Promise<void>;
  /** Made when it is asked for, which takes as long as much of the rest. */
  #stop: AbortController | undefined;
  #progress: TaskProgress | undefined;
  /** Made when it is asked for. */
  #leaving: AbortController | undefined;
  #mustLeave = false;
  /** Called once, when it is stopped. */
  #onStop: () => void = () => {};
  #finish: () => void = () => {};
  #stopReason: StopReason | undefined;
  #worked = false;
  #ranMs = 0;
  #leftBehind = false;

  /** `atOnce`: it begins before it is confirmed. */
  constructor(assignment: Assignment, atOnce = false) {
    this.assignment = assignment;
    this.confirmed = !atOnce;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get stopReason(): StopReason | undefined {
    return this.#stopReason;
  }

  /** Its handler did not heed its signal, and may still be at work. */
  get leftBehind(): boolean {
    return this.#leftBehind;
  }

  /** Nobody waits for its ending: the attempt was given to another, or the agent gives it back. */
  get abandoned(): boolean {
    return this.#stopReason === 'superseded' || this.#stopReason === 'agent-stopped';
  }

  /** Nothing of it runs any more. */
  get worked(): boolean {
    return this.#worked;
  }

  /** For how long it ran, in whole milliseconds, once it has `worked`. */
  get ranMs(): number {
    return this.#ranMs;
  }

  /** How far it is, as it said last; undefined when it has not, or is over. */
  get progress(): TaskProgress | undefined {
    return this.#worked ? undefined : this.#progress;
  }

  stop(reason: StopReason): void {
    if (this.#stopReason) return;
    this.#stopReason = reason;
    this.#stop?.abort(endedFor(reason));
    this.#onStop();
  }

  /** Its agent is taken out of service: it has some time left. */
  leave(): void {
    this.#mustLeave = true;
    this.#leaving?.abort(LEAVING);
  }

  finish(): void {
    this.#finish();
  }

  /** Runs the handler within the time limit, by this agent's own clock. A handler that does not heed its signal is left behind after a while. */
  async run(handler: TaskHandler, task: AgentTask, given: Given, clock: Clock, abandonMs: number): Promise<Ending> {
    const startedAt = clock.monotonic();
    using _ = clock.after(task.timeoutMs, () => this.stop('timed-out'));
    const work = invoke(handler, task, this.#runOf(task, given));
    const ending = await this.#within(work, clock, abandonMs);
    this.#worked = true;
    const ranMs = clock.monotonic() - startedAt;
    this.#ranMs = Math.round(ranMs);
    return this.#stopReason ? stopped(this.#stopReason, task, ranMs) : ending;
  }

  get #signal(): AbortSignal {
    this.#stop ??= new AbortController();
    if (this.#stopReason) this.#stop.abort(endedFor(this.#stopReason));
    return this.#stop.signal;
  }

  get #leavingSignal(): AbortSignal {
    this.#leaving ??= new AbortController();
    if (this.#mustLeave) this.#leaving.abort(LEAVING);
    return this.#leaving.signal;
  }

  #runOf(task: AgentTask, given: Given): TaskRun {
    const say: TaskRun['progress'] = (percent, text) => this.#say(percent, text);
    return new Run(task, given, { signal: () => this.#signal, leaving: () => this.#leavingSignal }, say);
  }

  #say(percent: number | undefined, text = ''): void {
    const { task, attempt } = this.assignment;
    const isKnown = percent !== undefined && Number.isFinite(percent);
    const done = isKnown ? { percent: Math.round(Math.min(100, Math.max(0, percent))) } : {};
    this.#progress = { task, attempt, ...done, text: text.slice(0, MAX_PROGRESS_CHARACTERS), at: undefined };
  }

  /** What the work comes to, or that it did not heed its signal for `abandonMs`. */
  #within(work: Promise<Ending>, clock: Clock, abandonMs: number): Promise<Ending> {
    return new Promise((resolve) => {
      let timer: Disposable | undefined;
      this.#onStop = () => {
        timer = clock.after(abandonMs, () => {
          this.#leftBehind = true;
          resolve({ outcome: 'OUTCOME_FAILED', reason: 'the handler did not end' });
        });
      };
      if (this.#stopReason) this.#onStop();
      void work.then((ending) => {
        this.#onStop = () => {};
        timer?.[Symbol.dispose]();
        resolve(ending);
      });
    });
  }
}

interface Signals {
  readonly signal: () => AbortSignal;
  readonly leaving: () => AbortSignal;
}

/** What a handler is given besides its task. */
class Run implements TaskRun {
  readonly attempt: number;
  readonly traceparent: string;
  readonly artefact: TaskRun['artefact'];
  readonly checkpoint: TaskRun['checkpoint'];
  readonly claim: TaskRun['claim'];
  readonly volumes: TaskRun['volumes'];
  readonly log: TaskRun['log'];
  readonly progress: TaskRun['progress'];
  readonly #signals: Signals;

  constructor({ attempt, traceparent }: AgentTask, given: Given, signals: Signals, say: TaskRun['progress']) {
    this.attempt = attempt;
    this.traceparent = traceparent;
    this.artefact = given.artefact;
    this.checkpoint = given.checkpoint;
    this.claim = given.claim;
    this.volumes = given.volumes;
    this.log = (text, stream) => given.log.write(stream === 'stderr' ? 'LOG_STREAM_STDERR' : 'LOG_STREAM_STDOUT', text);
    this.progress = say;
    this.#signals = signals;
  }

  get signal(): AbortSignal {
    return this.#signals.signal();
  }

  get leaving(): AbortSignal {
    return this.#signals.leaving();
  }
}

const endedFor = (reason: StopReason): HiveError => new HiveError('CANCELLED', `the attempt is ended: ${reason}`);

async function invoke(handler: TaskHandler, task: AgentTask, run: Parameters<TaskHandler>[1]): Promise<Ending> {
  try {
    const { federation, id } = task;
    const context = { trace: traceOfTask(task), task: { federation, task: id } };
    return succeeded(await within(context, () => handler(task, run)));
  } catch (cause) {
    if (isLeaving(cause)) return { outcome: 'OUTCOME_LOST', reason: 'its agent leaves' };
    const error = HiveError.from(cause);
    const terminal = cause instanceof HiveError && !error.retryable;
    const reason = (cause instanceof Error ? cause.message : String(cause)).slice(0, MAX_REASON_CHARACTERS);
    return { outcome: terminal ? 'OUTCOME_TERMINAL' : 'OUTCOME_FAILED', reason };
  }
}

/** Some functions of Node reject with an error of their own when their signal aborts, and name the signal's as its cause. */
const isLeaving = (cause: unknown): boolean => cause === LEAVING || (cause instanceof Error && cause.cause === LEAVING);

function succeeded(result: unknown): Ending {
  const bytes = Buffer.byteLength(JSON.stringify(result) ?? '');
  if (bytes <= MAX_ARTEFACT_BYTES) return { outcome: 'OUTCOME_SUCCEEDED', result, resultBytes: bytes, reason: '' };
  return { outcome: 'OUTCOME_TERMINAL', reason: `the result has ${bytes} bytes, at most ${MAX_ARTEFACT_BYTES} may be` };
}

function stopped(reason: StopReason, { timeoutMs }: TaskSpec, ranMs: number): Ending {
  if (reason === 'claim-over') return { outcome: 'OUTCOME_LOST', reason: 'its claim could not be renewed in time' };
  if (reason !== 'timed-out') return { outcome: 'OUTCOME_CANCELLED', reason };
  const [limit, ran] = [formatDuration(timeoutMs), formatDuration(ranMs)];
  return { outcome: 'OUTCOME_TIMED_OUT', reason: `over its time limit of ${limit}: it had ended after ${ran}` };
}
