import { accessSync, constants } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Span, SpanKind } from '@opentelemetry/api';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { activeTraceparent } from '../rpc/observe.ts';
import { ATTRIBUTE } from '../telemetry/attributes.ts';
import { withSpan } from '../telemetry/span.ts';
import { ArtefactFolder } from './artefact-folder.ts';
import { CHECKPOINT_FD, CHECKPOINT_PIPE, Guardian } from './guardian.ts';
import { LineSplitter } from './line-splitter.ts';
import { groupEnd } from './process-group.ts';
import type { AgentTask, TaskHandler, TaskRun } from './task.ts';
import { environmentOfTrace } from './trace-context.ts';

/** A line longer than this is no result. Larger ones are for artefacts. */
const MAX_RESULT_BYTES = 8 * 1024 * 1024;
const MAX_REASON_CHARACTERS = 1024;
const MAX_CHECKPOINT_BYTES = 64 * 1024;

/**
 * What a command's end means (the numbers are those of sysexits.h):
 * 0 = succeeded; 64 (usage) and 65 (bad data) = failed for good; everything else, 75 (try again later) and death by a
 * signal among it, = this attempt failed, try again.
 */
const TERMINAL_EXITS: Readonly<Record<number, string>> = { 64: 'EX_USAGE', 65: 'EX_DATAERR' };

export interface ExecOptions {
  /** The program and its arguments. Undefined: tasks without a script are refused. */
  readonly command?: readonly string[] | undefined;
  /** Run `script` tasks with a shell. */
  readonly allowScripts?: boolean;
  /** Between SIGTERM and SIGKILL, in milliseconds; default 5000. */
  readonly graceMs?: number;
  readonly cwd?: string;
  /** The environment of the commands, to which HIVEBUS_* and TRACEPARENT are added; default: this process's. */
  readonly env?: NodeJS.ProcessEnv;
  readonly clock?: Clock;
}

export interface ExecHandler extends Disposable {
  readonly handler: TaskHandler;
}

/**
 * Makes any program an agent: the task as JSON on standard input and in HIVEBUS_* variables, its output in the task's
 * log, its last line of standard output that is JSON as the result. A task that resumes has its last checkpoint in
 * HIVEBUS_CHECKPOINT, and each line of JSON that is written to the descriptor HIVEBUS_CHECKPOINT_FD, 3, is the next one.
 * Files that it leaves in HIVEBUS_ARTEFACTS when it succeeds are the task's artefacts. Each attempt runs in a process group of its own,
 * which ends with the attempt and with this process, even when that is killed, and so does what has left the group.
 */
export function createExecHandler(options: ExecOptions): ExecHandler {
  const guardian = new Guardian();
  const settings = { graceMs: 5000, clock: systemClock, env: process.env, ...options };
  return {
    handler: (task, run) => traced(task, run, guardian, settings),
    [Symbol.dispose]: () => guardian[Symbol.dispose](),
  };
}

type Settings = ExecOptions & Required<Pick<ExecOptions, 'graceMs' | 'clock' | 'env'>>;

/** Within a span, when the task's trace is kept, that goes on in the command through its TRACEPARENT. */
async function traced(task: AgentTask, run: TaskRun, guardian: Guardian, settings: Settings): Promise<unknown> {
  const program = basename(commandOf(task, settings)[0] ?? '');
  const attributes = {
    [ATTRIBUTE.executable]: program,
    [ATTRIBUTE.task]: task.id,
    [ATTRIBUTE.correlationId]: task.correlationId,
  };
  return withSpan(`exec ${program}`, { kind: SpanKind.CLIENT, attributes }, (span) => {
    const traceparent = activeTraceparent() || task.traceparent;
    return execute({ ...task, traceparent }, run, guardian, settings, span);
  });
}

async function execute(
  task: AgentTask,
  run: TaskRun,
  guardian: Guardian,
  settings: Settings,
  span: Span,
): Promise<unknown> {
  const command = commandOf(task, settings);
  const resumes = task.continuity?.resume === true;
  await using artefacts = await ArtefactFolder.make();
  const env = { ...environment(task, settings.env, run.volumes), HIVEBUS_ARTEFACTS: artefacts.path };
  const child = guardian.spawn(command, { env, cwd: settings.cwd, resumes });
  if (child.pid === undefined) {
    const [error] = await new Promise<[Error]>((resolve) => child.once('error', (...args) => resolve(args)));
    throw new HiveError('UNAVAILABLE', `cannot start ${command[0]}: ${error.message}`, { cause: error });
  }
  child.on('error', () => {});
  let result: unknown;
  let lastError = '';
  let isTooLong = false;
  readLines(child.stdout, run, 'stdout', (line, truncated) => {
    if (truncated) isTooLong ||= /^\s*[[{"]/.test(line);
    const value = truncated ? undefined : parseJson(line);
    if (value === undefined || value === null) return;
    result = value;
    isTooLong = false;
  });
  readLines(child.stderr, run, 'stderr', (line) => {
    lastError = line.trim() === '' ? lastError : line;
  });
  if (resumes) readCheckpoints(child.stdio[CHECKPOINT_PIPE] as Readable, run);
  // A command that does not read its input is not in error.
  child.stdin?.on('error', () => {});
  child.stdin?.end(`${JSON.stringify(task)}\n`);
  const group = child.pid;
  const killOutsiders = () => guardian.killOutsiders(group);
  const { graceMs, clock } = settings;
  run.claim?.follow((leftMs) => guardian.hold(group, leftMs));
  const end = await groupEnd(child, { signal: run.signal, kill: run.claim?.over, graceMs, clock, killOutsiders });
  guardian.release(group);
  span.setAttributes({ [ATTRIBUTE.pid]: group, ...(end.code !== null && { [ATTRIBUTE.exitCode]: end.code }) });
  if (end.code === 0 && isTooLong) throw tooLong();
  if (end.code === 0) {
    await artefacts.store(run);
    return result;
  }
  throw failure(end, lastError);
}

function commandOf(task: AgentTask, settings: Settings): readonly string[] {
  if (task.script !== '') {
    if (settings.allowScripts) return [shell(settings.env), '-c', task.script];
    throw new HiveError('FAILED_PRECONDITION', 'this agent runs no scripts: start it with --allow-scripts');
  }
  if (settings.command) return settings.command;
  throw new HiveError('FAILED_PRECONDITION', 'this agent runs scripts only: submit the task with a script');
}

function failure(end: { code: number | null; signal: NodeJS.Signals | null }, lastError: string): HiveError {
  const how = end.code === null ? `killed by ${end.signal}` : `exit code ${end.code}`;
  const reason = `${how}${lastError && `: ${lastError}`}`.slice(0, MAX_REASON_CHARACTERS);
  const name = TERMINAL_EXITS[end.code ?? -1];
  if (name) return new HiveError('INVALID_ARGUMENT', reason, { reason: name });
  return new HiveError('ABORTED', reason, { retryable: true });
}

/** It meant to answer something, and nobody would get it: that is no success. */
const tooLong = (): HiveError =>
  new HiveError('INVALID_ARGUMENT', `the result, its last line of JSON, has more than ${MAX_RESULT_BYTES} bytes`);

function readLines(
  stream: Readable | null,
  run: TaskRun,
  name: 'stdout' | 'stderr',
  onLine: (line: string, truncated: boolean) => void,
): void {
  const splitter = new LineSplitter(MAX_RESULT_BYTES, (line, truncated) => {
    run.log(line, name);
    sayProgress(line, run);
    onLine(line, truncated);
  });
  stream?.on('data', (chunk: Buffer) => splitter.push(chunk));
  stream?.on('close', () => splitter.end());
  stream?.on('error', () => {});
}

/** `::progress 40% counting`, the number or the text left out: how far the command is. */
const PROGRESS = /^::progress(?: +(\d{1,3})%?(?= |$))?(?: +(.*))?$/;

function sayProgress(line: string, run: TaskRun): void {
  const [isProgress, percent, text = ''] = PROGRESS.exec(line) ?? [];
  if (isProgress) run.progress(percent === undefined ? undefined : Number(percent), text);
}

/** Each line is one checkpoint; what is none, or is refused, is told in the task's log. */
function readCheckpoints(stream: Readable, run: TaskRun): void {
  const tell = (why: string) => run.log(`hivebus: a checkpoint was not stored: ${why}`, 'stderr');
  const splitter = new LineSplitter(MAX_CHECKPOINT_BYTES, (line, truncated) => {
    if (line.trim() === '') return;
    const value = truncated ? undefined : parseJson(line);
    if (value !== undefined) run.checkpoint(value).catch((error: Error) => tell(error.message));
    else tell(truncated ? `it has more than ${MAX_CHECKPOINT_BYTES} bytes` : 'it is not one line of JSON');
  });
  stream.on('data', (chunk: Buffer) => splitter.push(chunk));
  stream.on('close', () => splitter.end());
  stream.on('error', () => {});
}

/** The JSON value of a line; undefined when it is none. */
function parseJson(line: string): unknown {
  if (!/^\s*[[{"\-0-9tfn]/.test(line)) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function environment(task: AgentTask, base: NodeJS.ProcessEnv, volumes: TaskRun['volumes'] = {}): NodeJS.ProcessEnv {
  return {
    ...base,
    ...Object.fromEntries(Object.entries(volumes).map(([name, path]) => [volumeVariable(name), path])),
    HIVEBUS_FEDERATION: task.federation,
    HIVEBUS_TASK_ID: task.id,
    HIVEBUS_ATTEMPT: String(task.attempt),
    HIVEBUS_SWARM: task.swarm,
    HIVEBUS_AGENT: task.agent,
    HIVEBUS_TYPE: task.type,
    HIVEBUS_TITLE: task.title,
    HIVEBUS_TIMEOUT_MS: String(task.timeoutMs),
    ...(task.continuity?.resume && {
      HIVEBUS_CHECKPOINT: task.checkpoint === undefined ? '' : JSON.stringify(task.checkpoint),
      HIVEBUS_CHECKPOINT_FD: String(CHECKPOINT_FD),
    }),
    ...environmentOfTrace(task),
  };
}

/** E.g. HIVEBUS_VOLUME_BUILD_CACHE of `build-cache`. */
const volumeVariable = (name: string): string => `HIVEBUS_VOLUME_${name.toUpperCase().replaceAll('-', '_')}`;

/** bash where it is found on the PATH, else sh. */
function shell(env: NodeJS.ProcessEnv): string {
  const found = (env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, 'bash')));
  return found ? 'bash' : 'sh';
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
