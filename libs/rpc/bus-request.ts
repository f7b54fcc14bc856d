import type { Msg, PermissionViolationError } from '@nats-io/nats-core';
import { trace as tracing } from '@opentelemetry/api';
import { isNoResponders } from '../bus/message.ts';
import { notPermitted } from '../bus/permission.ts';
import { ReplyBox } from '../bus/reply-box.ts';
import { offAbort, onAbort } from '../kernel/aborts.ts';
import { HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import { HEADERS } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { isReplySubject, rpcBundleSubject, rpcRepeatSubject, rpcSubject } from '../protocol/subjects.ts';
import type { CallOptions } from './api.ts';
import { backoffMs, leavesOpen, mayRetry, type Patience } from './backoff.ts';
import type { Method } from './binding.ts';
import type { CallText } from './bundle.ts';
import { errorOf } from './bus-answers.ts';
import type { Bundle, BusOutbox, Outgoing } from './bus-outbox.ts';
import { type Answer, type BusPeer, gaveUp, nobodyServes, publishRequest, requestLines, sending } from './bus-peer.ts';
import { fromActiveSpan, isBackground } from './observe.ts';
import { requestJson } from './request-json.ts';
import { checkTimeout } from './times.ts';

const DEFAULT_TIMEOUT_MS = 10_000;

/** A method as it is called over the bus. */
export interface BusMethod {
  readonly peer: BusPeer;
  readonly outbox: BusOutbox;
  readonly method: Method;
  /** Throws INTERNAL for what is no answer of its type. */
  readonly decode: (answer: Answer) => object;
}

/**
 * One unary call. It has one request id, however often it is sent: it is sent again when the answer is late (a request
 * delivered to a process that dies is never answered) and after errors that may pass. First it goes with whatever else
 * is called in this tick, then alone. The first answer that settles it counts, whichever attempt it belongs to. What only
 * a call alone needs (an ear, a timer) it has when it goes alone.
 */
export class BusRequest implements Outgoing {
  readonly id: string;
  readonly trace: Trace;
  readonly json: string;
  slot = -1;
  readonly #to: BusMethod;
  readonly #peer: BusPeer;
  readonly #requestId;
  readonly #startedAt: number;
  readonly #patience: Patience;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;
  readonly #resolve: (answer: object) => void;
  readonly #reject: (error: HiveError) => void;
  /** Where it is answered when it goes alone; empty = it has not been said yet. */
  #replyTo = '';
  #listens = false;
  #bundle: Bundle | undefined;
  #sent = 0;
  /** More than one message asks for it, as far as is known. */
  #wasRepeated = false;
  #refused = 0;
  #lastError: HiveError | undefined;
  /** Waits for an answer or, `#backingOff`, to be sent again. Undefined while its bundle waits for it. */
  #timer: Disposable | undefined;
  #backingOff = false;
  #ended = false;

  static send(to: BusMethod, request: unknown, options: CallOptions, trace: Trace): Promise<object> {
    return new Promise((resolve, reject) => {
      new BusRequest(to, request, options, trace, resolve, reject).#begin();
    });
  }

  private constructor(
    to: BusMethod,
    request: unknown,
    { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
    trace: Trace,
    resolve: (answer: object) => void,
    reject: (error: HiveError) => void,
  ) {
    checkTimeout(timeoutMs);
    if (signal?.aborted) throw gaveUp();
    const { peer } = to;
    this.#to = to;
    this.#peer = peer;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#signal = signal;
    this.#patience = { timeoutMs, briefMs: peer.patienceMs };
    this.#startedAt = peer.clock.monotonic();
    this.json = requestJson(request);
    this.trace = fromActiveSpan(trace);
    peer.repeats.called();
    this.#requestId = peer.ids.take(); // from here on nothing throws: it must be released
    this.id = `${this.#requestId.client}:${this.#requestId.counter}`;
    if (!signal) return;
    this.#onAbort = () => this.fail(gaveUp());
    onAbort(signal, this.#onAbort);
  }

  get ended(): boolean {
    return this.#ended;
  }

  #remainingMs(): number {
    return this.#patience.timeoutMs - (this.#peer.clock.monotonic() - this.#startedAt);
  }

  #begin(): void {
    if (this.#remainingMs() < 1) this.fail(this.#tooLate());
    else this.#to.outbox.add(this);
  }

  #attemptAgain(): void {
    if (this.#remainingMs() < 1) return this.fail(this.#lastError ?? this.#tooLate());
    this.#backingOff = false;
    if (this.#peer.repeats.take(this.#peer.clock.monotonic())) this.#sendAgain();
    else if (this.#isRefused) return this.fail(this.#lastError as HiveError);
    this.#waitForAnswer();
  }

  #waitForAnswer(): void {
    if (!this.#ended) this.#wait(Math.min(this.#remainingMs(), this.#peer.attemptMs * 2 ** this.#sent++));
  }

  /** What was sent was answered: there is no place for it. So nothing is under way. */
  get #isRefused(): boolean {
    return this.#lastError !== undefined && isForWantOfRoom(this.#lastError) && !this.#wasRepeated;
  }

  /** One that stopped is still picked now and then: now all are asked. */
  #sendAgain(): void {
    if (this.#isRefused) {
      this.#lastError = undefined;
      return this.#send(rpcSubject);
    }
    this.#wasRepeated = true;
    if (!isBackground(this.trace)) tracing.getActiveSpan()?.addEvent('sent again, to all replicas');
    this.#send(rpcRepeatSubject);
  }

  sendAlone(): void {
    this.#send(rpcSubject);
    this.#waitForAnswer();
  }

  joined(bundle: Bundle): CallText {
    const remainingMs = this.#remainingMs();
    this.#bundle = bundle;
    this.#replyTo = ReplyBox.of(this.#peer.nc).subject();
    this.#sent = 1;
    if (remainingMs < this.#peer.attemptMs) this.#wait(remainingMs);
    const { id, trace, json } = this;
    const { name: method } = this.#to.method;
    return { method, id, timeoutMs: Math.ceil(remainingMs), trace, reply: this.#replyTo, json };
  }

  unanswered(): void {
    if (!this.#ended && !this.#timer) this.#attemptAgain();
  }

  #send(subjectOf: typeof rpcSubject): void {
    const { nc, service, federation, token } = this.#peer;
    const { requestType, name } = this.#to.method;
    try {
      this.#listen();
      // The whole rest of the time, not the attempt's: a late answer still counts.
      const own = `${HEADERS.requestId}: ${this.id}\r\n${HEADERS.timeout}: ${Math.ceil(this.#remainingMs())}\r\n`;
      const lines = requestLines(this.#peer, requestType, this.trace, token(), this.id) + own;
      publishRequest(nc, subjectOf(federation, service, name), Buffer.from(this.json), lines, this.#replyTo);
    } catch (error) {
      this.fail(HiveError.from(error));
    }
  }

  #listen(): void {
    if (this.#listens) return;
    const box = ReplyBox.of(this.#peer.nc);
    this.#replyTo ||= box.subject();
    sending(() => box.open((message) => this.#onMessage(message), this.#replyTo));
    this.#listens = true;
  }

  #wait(ms: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#peer.clock.after(Math.ceil(ms), () => this.#attemptAgain());
  }

  #onMessage(message: Msg): void {
    this.onAnswer((isNoResponders(message) ? nobodyServes(this.#peer) : errorOf(message)) ?? message);
  }

  onAnswer(answer: Answer | HiveError): void {
    if (this.#ended) return;
    if (!(answer instanceof HiveError)) return this.#succeed(answer);
    const elapsedMs = this.#peer.clock.monotonic() - this.#startedAt;
    const delayMs = backoffMs(this.#refused + 1, answer, this.#peer.rng);
    const isOpen = leavesOpen(answer, this.#wasRepeated);
    if (!isOpen) {
      if (!mayRetry(answer, elapsedMs, delayMs, this.#patience)) return this.fail(answer);
      this.#lastError = answer;
    }
    if (this.#backingOff) return; // a late refusal of an earlier attempt
    this.#refused++;
    this.#backingOff = true;
    this.#wait(Math.min(delayMs, this.#remainingMs())); // another copy may still be answered
  }

  denied(violation: PermissionViolationError): void {
    const { federation, service } = this.#peer;
    const error = notPermitted(violation);
    if (violation.operation === 'subscription' && isReplySubject(violation.subject)) return this.fail(error);
    const own = this.#bundle
      ? rpcBundleSubject(federation, service)
      : rpcSubject(federation, service, this.#to.method.name);
    if (violation.subject === own) return this.fail(error);
    // What was sent first may still be answered.
    if (violation.subject === rpcRepeatSubject(federation, service, this.#to.method.name)) this.#lastError = error;
  }

  #tooLate(): HiveError {
    const { service, federation } = this.#peer;
    const what = `${service} ${this.#to.method.name} in ${federation}`;
    const message = `no answer from ${what} within ${this.#patience.timeoutMs} ms; what was asked may have happened`;
    return new HiveError('DEADLINE_EXCEEDED', message);
  }

  fail(error: HiveError): void {
    if (this.#ended) return;
    this.#end();
    this.#reject(error);
  }

  #succeed(answer: Answer): void {
    this.#end();
    try {
      this.#resolve(this.#to.decode(answer));
    } catch (error) {
      this.#reject(HiveError.from(error));
    }
  }

  #end(): void {
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    if (this.#signal && this.#onAbort) offAbort(this.#signal, this.#onAbort);
    if (this.#listens) ReplyBox.of(this.#peer.nc).close(this.#replyTo);
    this.#bundle?.left();
    this.#to.outbox.left(this);
    this.#peer.ids.release(this.#requestId);
  }
}
