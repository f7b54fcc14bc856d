import { type ErrorJson, HiveError } from '../kernel/errors.ts';
import { HEADERS } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { isErrorJson } from './error-wire.ts';
import { isObject } from './json-types.ts';

/**
 * Unary calls that a client makes in one tick travel in one message, and so do answers that are ready together: a
 * message costs the bus and both ends more than what most calls have to say.
 *
 *     {"calls": [{"method": "GetSwarm", "headers": {"hive-request-id": "c-1:7"}, "request": {"name": "code"}}]}
 *     {"answers": [{"call": 0, "answer": {"revision": "12"}}, {"call": 1, "error": {"code": "NOT_FOUND"}}]}
 *
 * What is the same for all calls stands in the headers of the message itself; a call's own count before them. Each call
 * is otherwise as one that came alone: answered, refused, limited and repeated by itself.
 */

/** Calls in one message at most. */
export const MAX_CALLS = 256;

export interface BundledCall {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The subject for answers when the call is repeated alone: so a repeat of what is being done is known. */
  readonly reply?: string;
  readonly request: unknown;
}

/** An answer to the call at index `call`. */
export interface BundledAnswer {
  readonly call: number;
  readonly answer?: unknown;
  readonly error?: ErrorJson;
}

export interface CallText {
  readonly method: string;
  /** `<client>:<counter>` */
  readonly id: string;
  readonly timeoutMs: number;
  readonly trace: Trace;
  readonly reply: string;
  /** The request as JSON. */
  readonly json: string;
}

/** A call as a part of a message whose own headers say `sharedTimeoutMs` and no hops. */
export function callText({ method, id, timeoutMs, trace, reply, json }: CallText, sharedTimeoutMs: number): string {
  const { traceparent, correlationId, hops } = trace;
  const parent = traceparent === '' ? '' : `,"${HEADERS.traceparent}":"${traceparent}"`;
  const passed = hops === 0 ? '' : `,"${HEADERS.hops}":"${hops}"`;
  const timeout = timeoutMs === sharedTimeoutMs ? '' : `,"${HEADERS.timeout}":"${timeoutMs}"`;
  const correlation = `"${HEADERS.correlation}":${JSON.stringify(correlationId)}`;
  const headers = `"${HEADERS.requestId}":"${id}",${correlation}${parent}${passed}${timeout}`;
  return `{"method":"${method}","headers":{${headers}},"reply":"${reply}","request":${json}}`;
}

export const callsText = (calls: readonly string[]): string => `{"calls":[${calls.join(',')}]}`;

export const answerText = (call: number, json: string): string => `{"call":${call},"answer":${json}}`;

export const errorText = (call: number, error: ErrorJson): string =>
  `{"call":${call},"error":${JSON.stringify(error)}}`;

export const answersText = (answers: readonly string[]): string => `{"answers":[${answers.join(',')}]}`;

/** Throws INVALID_ARGUMENT when it is no such message, RESOURCE_EXHAUSTED when it holds too many. */
export function readCalls(bytes: Uint8Array): readonly BundledCall[] {
  const calls = listIn(bytes, 'calls', notABundle);
  if (calls.length === 0) throw notABundle('it must hold a call at least, since each answer belongs to one');
  if (calls.length > MAX_CALLS) {
    const message = `a message holds at most ${MAX_CALLS} calls, got ${calls.length}`;
    throw new HiveError('RESOURCE_EXHAUSTED', message, { retryable: false });
  }
  if (!calls.every(isCall)) throw notABundle('each call needs a method and headers (texts by name)');
  return calls;
}

/** Throws INTERNAL when it is no such message: it is the service that has sent it. */
export function readAnswers(bytes: Uint8Array): readonly BundledAnswer[] {
  const answers = listIn(bytes, 'answers', noAnswers);
  if (!answers.every(isAnswer)) throw noAnswers('each answer needs the index of its call, and may have an error');
  return answers;
}

type Refusal = (why: string) => HiveError;

function listIn(bytes: Uint8Array, name: 'calls' | 'answers', refusal: Refusal): readonly unknown[] {
  try {
    const json: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
    if (isObject(json) && Array.isArray(json[name])) return json[name];
  } catch {
    // told below
  }
  throw refusal(`it must be JSON with a list of ${name}`);
}

const isCall = (value: unknown): value is BundledCall =>
  isObject(value) &&
  typeof value.method === 'string' &&
  isObject(value.headers) &&
  hasTexts(value.headers) &&
  (value.reply === undefined || typeof value.reply === 'string');

function hasTexts(headers: Readonly<Record<string, unknown>>): boolean {
  for (const name in headers) if (typeof headers[name] !== 'string') return false;
  return true;
}

const isAnswer = (value: unknown): value is BundledAnswer =>
  isObject(value) && typeof value.call === 'number' && (value.error === undefined || isErrorJson(value.error));

const notABundle: Refusal = (why) =>
  new HiveError('INVALID_ARGUMENT', `the payload must be a bundle of calls: ${why}`, { reason: 'MALFORMED_BUNDLE' });

const noAnswers: Refusal = (why) =>
  new HiveError('INTERNAL', `the service answered with something that is no hivebus.Bundle: ${why}`);
