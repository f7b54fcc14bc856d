import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { trace as tracing } from '@opentelemetry/api';
import { isNoResponders } from '../bus/message.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { ReplyBox } from '../bus/reply-box.ts';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import { encodeLines, eventLines, HEADERS, traceLines } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { rpcRepeatSubject, rpcSubject } from '../protocol/subjects.ts';
import type { CallOptions } from './api.ts';
import { backoffMs, mayRetry, type Patience } from './backoff.ts';
import type { Method } from './binding.ts';
import type { CallText } from './bundle.ts';
import { errorOf } from './bus-answers.ts';
import type { Bundle, BusOutbox } from './bus-outbox.ts';
import { fromActiveSpan } from './observe.ts';
import type { RequestIds } from './request-ids.ts';

/** What all calls of one client share. */
export interface BusPeer {
  readonly nc: NatsConnection;
  readonly service: string;
  readonly federation: string;
  /** Names the client in `ce-source`. */
  readonly source: string;
  readonly ids: RequestIds;
  readonly token: () => string;
  readonly trace: () => Trace | undefined;
  readonly clock: Clock;
  readonly rng: Rng;
  /** First wait for an answer before asking again, in milliseconds; doubles each time. */
  readonly attemptMs: number;
  readonly patienceMs: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** The headers of a request of `type` but for those of one attempt. */
export function requestLines(peer: BusPeer, type: string, trace: Trace, token: string, id: string): string {
  const authorization = token === '' ? '' : `${HEADERS.authorization}: Bearer ${token}\r\n`;
  const event = { id, type, source: peer.source, timeMs: peer.clock.now() };
  return eventLines(event) + traceLines(trace) + authorization;
}

/** Publishes a request whose headers are these lines. Throws RESOURCE_EXHAUSTED for one that the bus cannot carry. */
export function publishRequest(nc: NatsConnection, subject: string, body: Buffer, lines: string, reply: string): void {
  const headers = encodeLines(lines);
  const limit = nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
  if (body.length + headers.length > limit) {
    const message = `the request has ${body.length} bytes and ${headers.length} of headers, the bus carries ${limit}`;
    throw new HiveError('RESOURCE_EXHAUSTED', `${message}: send less at once, or use gRPC`, { reason: 'TOO_LARGE' });
  }
  sending(() => nc.publish(subject, body, { headers: rawHeaders(headers), reply }));
}

export const nobodyServes = ({ service, federation }: BusPeer): HiveError =>
  new HiveError('UNAVAILABLE', `nothing serves ${service} on this bus (federation ${federation}); is hivebus up?`, {
    reason: 'NO_RESPONDERS',
  });

/** Does what a closed connection refuses; that is UNAVAILABLE, and stays so. */
export function sending<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const message = `cannot send to the bus: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new HiveError('UNAVAILABLE', message, { cause, retryable: false, reason: 'BUS_CLOSED' });
  }
}

export const gaveUp = (): HiveError => new HiveError('CANCELLED', 'the caller gave up');

/** What was answered: as a message of its own, or as a part of one. */
export type Answer = Msg | { readonly value: unknown };

/**
 * One unary call. It has one request id, however often it is sent: it is sent again when the answer is late (a request
 * delivered to a process that dies is never answered) and after errors that may pass. First it goes with whatever else
 * is called in this tick, then alone. The first answer that settles it counts, whichever attempt it belongs to.
 */
export class BusRequest {
  readonly id: string;
  readonly trace: Trace;
  readonly json: string;
  readonly #peer: BusPeer;
  readonly #method: Method;
  readonly #outbox: BusOutbox;
  readonly #replyTo: string;
  readonly #requestId;
  readonly #startedAt: number;
  readonly #patience: Patience;
  readonly #signal: AbortSignal | undefined;
  readonly #settle: (error: HiveError | undefined, answer?: Answer) => void;
  #bundle: Bundle | undefined;
  #sent = 0;
  #refused = 0;
  #lastError: HiveError | undefined;
  /** Waits for an answer or, `#backingOff`, to be sent again. */
  #timer: Disposable | undefined;
  #backingOff = false;
  #ended = false;

  static send(
    peer: BusPeer,
    outbox: BusOutbox,
    method: Method,
    request: unknown,
    options: CallOptions,
    trace: Trace,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      new BusRequest(peer, outbox, method, request, options, trace, (error, answer) => {
        if (answer) resolve(answer);
        else reject(error);
      }).#attempt();
    });
  }

  private constructor(
    peer: BusPeer,
    outbox: BusOutbox,
    method: Method,
    request: unknown,
    options: CallOptions,
    trace: Trace,
    settle: (error: HiveError | undefined, answer?: Answer) => void,
  ) {
    if (options.signal?.aborted) throw gaveUp();
    this.#peer = peer;
    this.#outbox = outbox;
    this.#method = method;
    this.#settle = settle;
    this.#signal = options.signal;
    this.#patience = { timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS, briefMs: peer.patienceMs };
    this.#startedAt = peer.clock.monotonic();
    this.json = JSON.stringify(request);
    this.trace = fromActiveSpan(trace);
    this.#replyTo = sending(() => ReplyBox.of(peer.nc).open((message) => this.#onMessage(message)));
    this.#requestId = peer.ids.take(); // from here on nothing throws: it must be released
    this.id = `${this.#requestId.client}:${this.#requestId.counter}`;
    this.#signal?.addEventListener('abort', this.#onAbort);
  }

  get ended(): boolean {
    return this.#ended;
  }

  #remainingMs(): number {
    return this.#patience.timeoutMs - (this.#peer.clock.monotonic() - this.#startedAt);
  }

  #attempt(): void {
    const remainingMs = this.#remainingMs();
    if (remainingMs < 1) return this.fail(this.#lastError ?? this.#tooLate());
    this.#backingOff = false;
    if (this.#sent === 0) this.#outbox.add(this);
    else this.#sendAgain();
    if (!this.#ended) this.#wait(Math.min(remainingMs, this.#peer.attemptMs * 2 ** this.#sent++));
  }

  /** One that stopped is still picked now and then: now all are asked. */
  #sendAgain(): void {
    tracing.getActiveSpan()?.addEvent('sent again, to all replicas');
    this.#send(rpcRepeatSubject);
  }

  /** Goes as a message of its own. */
  sendAlone(): void {
    this.#send(rpcSubject);
  }

  /** Goes with others: what it has to say, and who must know when it is over. */
  joined(bundle: Bundle): CallText {
    this.#bundle = bundle;
    const { id, trace, json } = this;
    return {
      method: this.#method.name,
      id,
      timeoutMs: Math.ceil(this.#remainingMs()),
      trace,
      reply: this.#replyTo,
      json,
    };
  }

  #send(subjectOf: typeof rpcSubject): void {
    const { nc, service, federation, token } = this.#peer;
    const { requestType, name } = this.#method;
    try {
      // The whole rest of the time, not the attempt's: a late answer still counts.
      const own = `${HEADERS.requestId}: ${this.id}\r\n${HEADERS.timeout}: ${Math.ceil(this.#remainingMs())}\r\n`;
      const lines = requestLines(this.#peer, requestType, this.trace, token(), this.id) + own;
      publishRequest(nc, subjectOf(federation, service, name), Buffer.from(this.json), lines, this.#replyTo);
    } catch (error) {
      this.fail(HiveError.from(error));
    }
  }

  #wait(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#peer.clock.after(Math.ceil(ms), () => this.#attempt());
  }

  #onMessage(message: Msg): void {
    this.onAnswer((isNoResponders(message) ? nobodyServes(this.#peer) : errorOf(message)) ?? message);
  }

  onAnswer(answer: Answer | HiveError): void {
    if (this.#ended) return;
    if (!(answer instanceof HiveError)) return this.#end(undefined, answer);
    const elapsedMs = this.#peer.clock.monotonic() - this.#startedAt;
    const delayMs = backoffMs(this.#refused + 1, answer, this.#peer.rng);
    if (!mayRetry(answer, elapsedMs, delayMs, this.#patience)) return this.fail(answer);
    this.#lastError = answer;
    if (this.#backingOff) return; // a late refusal of an earlier attempt
    this.#refused++;
    this.#backingOff = true;
    this.#wait(delayMs);
  }

  readonly #onAbort = (): void => this.fail(gaveUp());

  #tooLate(): HiveError {
    const { service, federation } = this.#peer;
    const what = `${service} ${this.#method.name} in ${federation}`;
    const message = `no answer from ${what} within ${this.#patience.timeoutMs} ms; what was asked may have happened`;
    return new HiveError('DEADLINE_EXCEEDED', message);
  }

  fail(error: HiveError): void {
    this.#end(error);
  }

  #end(error: HiveError | undefined, answer?: Answer): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    ReplyBox.of(this.#peer.nc).close(this.#replyTo);
    this.#bundle?.left();
    this.#peer.ids.release(this.#requestId);
    this.#settle(error, answer);
  }
}
