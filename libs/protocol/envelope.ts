import { HiveError, quote, type Violation } from '../kernel/errors.ts';
import { timestamp } from '../kernel/timestamps.ts';
import type { RequestId } from './call.ts';
import type { Trace } from './machine.ts';

/**
 * The headers that every message on the bus has: CloudEvents 1.0 in binary mode, W3C trace context, and ours. They are
 * written as one string and read in one pass over the bytes, because the client's header object costs as much as all
 * the rest of a message.
 */

/** Header names, and gRPC metadata keys of the same meaning. */
export const HEADERS = {
  authorization: 'authorization',
  correlation: 'hive-correlation-id',
  hops: 'hive-hops',
  requestId: 'hive-request-id',
  timeout: 'hive-timeout-ms',
  /** Of a message with several calls, all of this method: so it can be refused without being read. */
  method: 'hive-method',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
  /** On messages of a server stream: `open`, `end`, `ping`, `wait` or `close`; see libs/rpc/bus-stream.ts. */
  stream: 'hive-stream',
  serviceError: 'Nats-Service-Error',
  serviceErrorCode: 'Nats-Service-Error-Code',
} as const;

/** gRPC metadata only: on the bus the federation is in the subject. */
export const FEDERATION_KEY = 'hive-federation';

/** A message that has been passed on more often is refused, so that delegation cannot loop for ever. */
export const MAX_HOPS = 16;

/** What a message says of itself, in CloudEvents' terms. */
export interface EventHeaders {
  /** Unique per source. */
  readonly id: string;
  /** E.g. `hivebus.registry.v1.RegisterSwarmRequest`. */
  readonly type: string;
  /** A URI reference, e.g. `/hivebus/registry`. */
  readonly source: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Which thing it is about; empty = none. */
  readonly subject?: string;
}

const HEAD = 'NATS/1.0\r\n';

/** The CloudEvents headers as lines. The values must be ours or checked: nothing is looked at here. */
export function eventLines(event: EventHeaders): string {
  const subject = event.subject ? `ce-subject: ${event.subject}\r\n` : '';
  return `${originLines(event)}ce-id: ${event.id}\r\nce-type: ${event.type}\r\n${subject}`;
}

/** What events of one source and time have in common. */
export const originLines = ({ source, timeMs }: Pick<EventHeaders, 'source' | 'timeMs'>): string =>
  `ce-specversion: 1.0\r\nce-source: ${source}\r\nce-time: ${timestamp(timeMs)}\r\ncontent-type: application/json\r\n`;

/** The trace headers as lines; traces that came from outside were checked when they were read. */
export const traceLines = (trace: Trace): string =>
  `${trace.traceparent === '' ? '' : `traceparent: ${trace.traceparent}\r\n`}hive-correlation-id: ${trace.correlationId}\r\nhive-hops: ${trace.hops}\r\n`;

/** One header as a line. Throws INVALID_ARGUMENT when the value would end the line or is not a header value. */
export function headerLine(name: string, value: string): string {
  if (/[\r\n\0]/.test(value)) {
    throw new HiveError('INVALID_ARGUMENT', `header ${name} must be one line, got ${quote(value)}`);
  }
  return `${name}: ${value}\r\n`;
}

/** Header lines as NATS has them on the wire. */
export const encodeLines = (lines: string): Uint8Array => Buffer.from(`${HEAD}${lines}\r\n`);

/** Any headers by name, checked, as NATS has them on the wire. */
export function encodeHeaders(record: Readonly<Record<string, string>>): Uint8Array {
  let lines = '';
  for (const name in record) {
    if (!/^[!-9;-~]+$/.test(name)) throw new HiveError('INVALID_ARGUMENT', `${quote(name)} is not a header name`);
    lines += headerLine(name, record[name] as string);
  }
  return encodeLines(lines);
}

/** Headers of a message by lower-case name; of a repeated one the first. */
export type HeaderMap = ReadonlyMap<string, string>;

const NONE: HeaderMap = new Map();
const isOurs = (name: string): boolean => !name.startsWith('ce-');

/** Reads what NATS has on the wire. CloudEvents headers are only for others and left out unless `all`. */
export function decodeHeaders(bytes: Uint8Array | undefined, all = false): HeaderMap {
  if (bytes === undefined || bytes.length === 0) return NONE;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  const headers = new Map<string, string>();
  let start = text.indexOf('\r\n') + 2; // after the status line
  while (start > 1 && start < text.length) {
    const end = text.indexOf('\r\n', start);
    const colon = text.indexOf(':', start);
    if (end < 0 || colon < 0) break;
    if (colon < end) {
      const name = text.slice(start, colon).toLowerCase();
      if ((all || isOurs(name)) && !headers.has(name)) headers.set(name, text.slice(colon + 1, end).trim());
    }
    start = end + 2;
  }
  return headers;
}

/** What the headers of a request say of the call. */
export interface CallHeaders {
  /** Empty = none was sent. */
  readonly token: string;
  /** The correlation id is empty when none was sent. */
  readonly trace: Trace;
  readonly request: RequestId | undefined;
  /** Undefined = the server's default. */
  readonly timeoutMs: number | undefined;
}

/** Anything that knows headers by lower-case name: a HeaderMap, or gRPC metadata. */
export interface HeaderSource {
  get(name: string): string | undefined;
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const CORRELATION_ID = /^[!-~]{1,128}$/;
const REQUEST_ID = /^([a-z0-9][-a-z0-9]{0,62}):([1-9]\d{0,14})$/;
const CONTENT_TYPE = 'content-type';
const JSON_TYPE = /^(application\/json *(; *charset *= *"?utf-8"? *)?)?$/i;
const MAX_TIMEOUT_MS = 86_400_000;

/** Reads a request's headers. Throws INVALID_ARGUMENT with all faults, or FAILED_PRECONDITION for too many hops. */
export function readCallHeaders(headers: HeaderSource): CallHeaders {
  const faults: Violation[] = [];
  const call = {
    token: bearer(headers.get(HEADERS.authorization), faults),
    trace: {
      traceparent: traceparent(headers.get(HEADERS.traceparent)),
      correlationId: correlationId(headers.get(HEADERS.correlation), faults),
      hops: wholeNumber(HEADERS.hops, headers.get(HEADERS.hops), 1e9, faults) ?? 0,
    },
    request: requestId(headers.get(HEADERS.requestId), faults),
    timeoutMs: wholeNumber(HEADERS.timeout, headers.get(HEADERS.timeout), MAX_TIMEOUT_MS, faults),
  };
  checkContentType(headers.get(CONTENT_TYPE), faults);
  return sound(call, faults);
}

/**
 * The same of a call that came with others in one message, whose headers were read before: `own` are the call's, by
 * lower-case name, and what it leaves out is as `shared` says.
 */
export function readOwnHeaders(own: Readonly<Record<string, string>>, shared: CallHeaders): CallHeaders {
  const faults: Violation[] = [];
  const { trace } = shared;
  const token = own[HEADERS.authorization];
  const call = {
    token: token === undefined ? shared.token : bearer(token, faults),
    trace: {
      traceparent: HEADERS.traceparent in own ? traceparent(own[HEADERS.traceparent]) : trace.traceparent,
      correlationId: HEADERS.correlation in own ? correlationId(own[HEADERS.correlation], faults) : trace.correlationId,
      hops: wholeNumber(HEADERS.hops, own[HEADERS.hops], 1e9, faults) ?? trace.hops,
    },
    request: requestId(own[HEADERS.requestId], faults) ?? shared.request,
    timeoutMs: wholeNumber(HEADERS.timeout, own[HEADERS.timeout], MAX_TIMEOUT_MS, faults) ?? shared.timeoutMs,
  };
  checkContentType(own[CONTENT_TYPE], faults);
  return sound(call, faults);
}

/** Headers in which nothing is wrong. */
function sound(call: CallHeaders, faults: readonly Violation[]): CallHeaders {
  if (faults.length > 0) {
    const text = faults.map((each) => `header ${each.field}: ${each.value} ${each.rule}`).join('; ');
    throw new HiveError('INVALID_ARGUMENT', text, { violations: faults });
  }
  if (call.trace.hops > MAX_HOPS) throw tooManyHops(call.trace.hops);
  return call;
}

/** The trace of a message that is sent while handling one with `trace`. */
export function nextHop(trace: Trace): Trace {
  if (trace.hops >= MAX_HOPS) throw tooManyHops(trace.hops + 1);
  return { ...trace, hops: trace.hops + 1 };
}

const tooManyHops = (hops: number): HiveError =>
  new HiveError(
    'FAILED_PRECONDITION',
    `the message made ${hops} hops, at most ${MAX_HOPS} are allowed: is there a loop?`,
    {
      reason: 'TOO_MANY_HOPS',
    },
  );

function bearer(value: string | undefined, faults: Violation[]): string {
  if (value === undefined || value === '') return '';
  if (/^bearer +./i.test(value)) return value.slice(6).trim(); // what a token is, is the authenticator's to say
  faults.push({ field: HEADERS.authorization, value: '(hidden)', rule: 'must be `Bearer <token>`' });
  return '';
}

/** Who names none sends JSON by hand. gRPC has its own, and never gets here with another. */
function checkContentType(value: string | undefined, faults: Violation[]): void {
  if (value === undefined || JSON_TYPE.test(value)) return;
  const rule = 'must be application/json, or left out';
  faults.push({ field: CONTENT_TYPE, value: quote(value), rule });
}

/** W3C: who cannot parse a traceparent starts a new trace. */
const traceparent = (value: string | undefined): string =>
  value !== undefined && TRACEPARENT.test(value) ? value : '';

function correlationId(value: string | undefined, faults: Violation[]): string {
  if (value === undefined || value === '' || CORRELATION_ID.test(value)) return value ?? '';
  const rule = 'must be 1 to 128 printable ASCII characters without spaces';
  faults.push({ field: HEADERS.correlation, value: quote(value), rule });
  return '';
}

function requestId(value: string | undefined, faults: Violation[]): RequestId | undefined {
  if (value === undefined || value === '') return undefined;
  const match = REQUEST_ID.exec(value);
  if (match) return { client: match[1] as string, counter: Number(match[2]) };
  const rule = 'must be `<client>:<counter>`, a name and a number from 1';
  faults.push({ field: HEADERS.requestId, value: quote(value), rule });
  return undefined;
}

function wholeNumber(name: string, value: string | undefined, max: number, faults: Violation[]): number | undefined {
  if (value === undefined || value === '') return undefined;
  const number = /^\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= max) return number;
  faults.push({ field: name, value: quote(value), rule: `must be a whole number, 0 to ${max}` });
  return undefined;
}
