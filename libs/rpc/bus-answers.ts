import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { headerBytes } from '../bus/message.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { CODES, HiveError } from '../kernel/errors.ts';
import { decodeHeaders, encodeLines, eventLines, HEADERS, traceLines } from '../protocol/envelope.ts';
import { jsonOf } from '../protocol/json-text.ts';
import type { Trace } from '../protocol/machine.ts';
import { isReplySubject } from '../protocol/subjects.ts';
import { codeOfNumber, oneLine, parseErrorJson, toErrorJson } from './error-wire.ts';

/** Answers of a bus server: JSON with the envelope's headers, or an error in the form of NATS services. */
export class BusAnswers {
  readonly #nc: NatsConnection;
  readonly #source: string;
  readonly #instance: string;
  readonly #now: () => number;
  #count = 0;

  constructor(nc: NatsConnection, service: string, instance: string, now: () => number) {
    this.#nc = nc;
    this.#source = `/hivebus/${service}`;
    this.#instance = instance;
    this.#now = now;
  }

  /** So many characters surely fit into one message: a quarter of its bytes, since they take up to 3, and headers want room. */
  get room(): number {
    return (this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY) / 4;
  }

  /** Sends a message of `type`; gives its size in bytes. One that the bus cannot carry is answered by an error. */
  send(to: string, type: string, message: unknown, trace: Trace, reply = ''): number {
    try {
      return this.sendText(to, type, jsonOf(message), trace, reply);
    } catch (cause) {
      this.fail(to, HiveError.from(cause), trace);
      return 0;
    }
  }

  /** The same for a message that is JSON text already. Throws RESOURCE_EXHAUSTED for one that the bus cannot carry. */
  sendText(to: string, type: string, json: string, trace: Trace, reply = ''): number {
    const body = Buffer.from(json);
    const headers = encodeLines(this.#lines(type, trace));
    const limit = this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
    if (body.length + headers.length > limit) throw tooLarge(body.length, limit);
    this.#publish(to, body, headers, reply);
    return body.length;
  }

  fail(to: string, error: HiveError, trace: Trace): void {
    const lines = `${HEADERS.serviceErrorCode}: ${CODES[error.code]}\r\n${HEADERS.serviceError}: ${oneLine(error.message)}\r\n`;
    const body = Buffer.from(JSON.stringify(toErrorJson(error)));
    this.#publish(to, body, encodeLines(lines + this.#lines('hivebus.Error', trace)));
  }

  /** A message of the stream protocol, without a payload. */
  signal(to: string, word: string, trace: Trace, reply = ''): void {
    const lines = `${HEADERS.stream}: ${word}\r\n${this.#lines('hivebus.Stream', trace)}`;
    this.#publish(to, Buffer.alloc(0), encodeLines(lines), reply);
  }

  #lines(type: string, trace: Trace): string {
    const id = `${this.#instance}-${++this.#count}`;
    return eventLines({ id, type, source: this.#source, timeMs: this.#now() }) + traceLines(trace);
  }

  #publish(to: string, body: Uint8Array, headers: Uint8Array, reply = ''): void {
    if (to === '' || !isReplySubject(to)) return; // nobody waits for it, or somebody else would get it
    try {
      this.#nc.publish(to, body, { headers: rawHeaders(headers), reply });
    } catch (error) {
      // A connection that is closing cannot answer; the client's time-out tells it so.
      if (!this.#nc.isClosed() && !this.#nc.isDraining()) throw error;
    }
  }
}

const tooLarge = (bytes: number, limit: number): HiveError => {
  const message = `the answer has ${bytes} bytes, the bus carries ${limit}: ask for less at once, or use gRPC`;
  return new HiveError('RESOURCE_EXHAUSTED', message);
};

const MARK = Buffer.from(HEADERS.serviceErrorCode);

/** The error that an answer is, if it is one. */
export function errorOf(message: Msg): HiveError | undefined {
  const head = headerBytes(message);
  if (head.length === 0 || !Buffer.from(head.buffer, head.byteOffset, head.length).includes(MARK)) return undefined;
  const headers = decodeHeaders(head);
  const json = parseErrorJson(message.string());
  if (json) return HiveError.fromJSON(json);
  const code = codeOfNumber(Number(headers.get(HEADERS.serviceErrorCode.toLowerCase())));
  return new HiveError(
    code,
    headers.get(HEADERS.serviceError.toLowerCase()) ?? 'the service refused without saying why',
  );
}
