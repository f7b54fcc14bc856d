import { type JetStreamManager, type JsMsg, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { readStream } from '../../libs/bus/read.ts';
import { ensureStream, taskLogs } from '../../libs/bus/streams.ts';
import { type Clock, pause } from '../../libs/kernel/clock.ts';
import { taskLogStream, taskLogSubject } from '../../libs/protocol/subjects.ts';
import { responseSchema } from '../../libs/rpc/schema.ts';
import type { LogLine } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { LogProof } from './log-proof.ts';

/** Lines in one answer, at most, and their bytes, before the last of them: the bus carries 1 MiB. */
const BATCH = 256;
const BATCH_BYTES = 512 * 1024;
/** Anybody on the bus can write to a log; an agent's messages have at most 256 KiB and a line of 8 KiB, in JSON six times that. */
const MAX_MESSAGE_BYTES = 320 * 1024;
/** What an agent sent before its report may be stored a moment after it, in milliseconds. */
const SETTLE_MS = 250;

const LINE = responseSchema('hivebus.pool.v1.LogLine');

/** Output lines of a federation's tasks: agents publish them, the stream keeps the newest. */
export class TaskLogs {
  readonly #nc: NatsConnection;
  readonly #jsm: JetStreamManager;
  readonly #federation: string;
  readonly #clock: Clock;

  private constructor(nc: NatsConnection, jsm: JetStreamManager, federation: string, clock: Clock) {
    this.#nc = nc;
    this.#jsm = jsm;
    this.#federation = federation;
    this.#clock = clock;
  }

  /** Makes the stream where there is none. */
  static async open(nc: NatsConnection, federation: string, replicas: number, clock: Clock): Promise<TaskLogs> {
    const jsm = await jetstreamManager(nc);
    await ensureStream(jsm, taskLogs(federation, replicas));
    return new TaskLogs(nc, jsm, federation, clock);
  }

  /**
   * The lines of a task that are kept after a position, then new ones until `ended` resolves and what was sent before
   * has been read. Without `ended`: the lines kept now. The first part is empty.
   */
  async *read({ task, after, signal, ended, proof }: Reading): AsyncGenerator<LogPart> {
    yield { lines: [], position: after };
    const messages = readStream({
      nc: this.#nc,
      jsm: this.#jsm,
      stream: taskLogStream(this.#federation),
      subject: taskLogSubject(this.#federation, task),
      ...{ after, follow: ended !== undefined },
      until: ended?.then(() => pause(this.#clock, SETTLE_MS, signal)),
      signal,
    });
    let lines: LogLine[] = [];
    let bytes = 0;
    let position = after;
    for await (const message of messages) {
      const own = linesOf(message);
      if (own.length > 0 && (await proof.holds(message, own))) lines.push(...own);
      bytes += message.data.length;
      position = message.seq;
      if (lines.length < BATCH && bytes < BATCH_BYTES && message.info.pending > 0) continue;
      if (lines.length > 0) yield { lines, position };
      lines = [];
      bytes = 0;
    }
    if (lines.length > 0) yield { lines, position };
  }
}

export interface Reading {
  readonly task: string;
  readonly after: number;
  readonly signal: AbortSignal;
  readonly ended?: Promise<void> | undefined;
  /** Lines for which it does not hold are left out, as if they were not there. */
  readonly proof: LogProof;
}

interface LogPart {
  readonly lines: LogLine[];
  /** The stream's sequence of the last of them. */
  readonly position: number;
}

/** A message that cannot be read was not written by an agent of ours: it is left out, and its numbers are missing. */
function linesOf(message: JsMsg): LogLine[] {
  if (message.data.length > MAX_MESSAGE_BYTES) return [];
  try {
    return message
      .string()
      .split('\n')
      .map((line) => LINE.decode(Buffer.from(line)) as LogLine);
  } catch {
    return [];
  }
}
