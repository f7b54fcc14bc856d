import { createInbox, type Msg, type PermissionViolationError, type Subscription } from '@nats-io/nats-core';
import { connectionLost, Link } from '../bus/link.ts';
import { headerBytes, isNoResponders } from '../bus/message.ts';
import { notPermitted } from '../bus/permission.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { offAbort, onAbort } from '../kernel/aborts.ts';
import { HiveError } from '../kernel/errors.ts';
import { decodeHeaders, encodeLines, HEADERS } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { rpcSubject } from '../protocol/subjects.ts';
import type { CallOptions } from './api.ts';
import { backoffMs, mayRetry, type Patience } from './backoff.ts';
import type { Method } from './binding.ts';
import { errorOf } from './bus-answers.ts';
import { type BusPeer, gaveUp, nobodyServes, publishRequest, requestLines, sending } from './bus-peer.ts';
import { PING_MS } from './bus-stream.ts';
import { fromActiveSpan } from './observe.ts';
import { requestJson } from './request-json.ts';
import { StreamProbe } from './stream-probe.ts';
import { checkTimeout } from './times.ts';

/** A server that said nothing for so long, not even a ping, is gone. */
const SILENCE_MS = 3 * PING_MS;
/**
 * One that has not said that it took the request is asked again, first after so long, in milliseconds, then doubling:
 * whoever listens to everything (`nats sub 'hive.>'`) gets a request, too, and hides that there was no server for it.
 */
const FIRST_WAIT_MS = 1000;
/** Four times: 1 + 2 + 4 + 8 s are as long as SILENCE_MS. */
const MAX_UNHEARD = 4;

type Waiter = { resolve(result: IteratorResult<Msg>): void; reject(error: HiveError): void };

/**
 * The client's side of a server stream over the bus (the protocol is in bus-stream.ts): messages as they come, with an
 * inbox of its own that is given up when the stream ends. Pings are answered when everything before was taken. It ends
 * when the connection breaks, even for a moment, since nobody knows what has been missed.
 */
export class BusItems implements AsyncIterableIterator<Msg> {
  readonly #peer: BusPeer;
  readonly #method: Method;
  readonly #body: Buffer;
  readonly #trace: Trace;
  readonly #timeout: string;
  /** Another one each time that it is asked, so that a late server finds nobody. */
  #inbox = '';
  #subscription: Subscription | undefined;
  readonly #startedAt: number;
  readonly #signal: AbortSignal | undefined;
  readonly #patience: Patience;
  readonly #queue: Msg[] = [];
  #taken = 0;
  #heard = false;
  /** Where the server takes answers; told by its messages. */
  #server = '';
  #refused = 0;
  #waiter: Waiter | undefined;
  /** The ping to answer when the queue is empty. */
  #ping: Msg | undefined;
  #ended: { readonly error: HiveError | undefined } | undefined;
  #silence: Disposable | undefined;
  #probe: StreamProbe | undefined;
  #deadline: Disposable | undefined;
  readonly #unlost: Disposable;
  readonly #undenied: Disposable;
  /** For the connection, to be asked for at all. */
  #waiting: Disposable | undefined;
  #asked = false;
  /** How often nobody said that he took the request. */
  #unheard = 0;

  constructor(peer: BusPeer, method: Method, request: unknown, options: CallOptions, trace: Trace) {
    checkTimeout(options.timeoutMs);
    this.#peer = peer;
    this.#method = method;
    this.#signal = options.signal;
    this.#startedAt = peer.clock.monotonic();
    this.#patience = { timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY, briefMs: peer.patienceMs };
    this.#body = Buffer.from(requestJson(request));
    this.#trace = fromActiveSpan(trace);
    this.#timeout = options.timeoutMs === undefined ? '' : `${HEADERS.timeout}: ${Math.ceil(options.timeoutMs)}\r\n`;
    const link = Link.of(peer.nc);
    this.#unlost = link.whenLost(() => this.#asked && this.#end(connectionLost()));
    this.#undenied = link.whenDenied((violation) => this.#onDenied(violation));
    if (this.#signal) onAbort(this.#signal, this.#onAbort);
    if (options.timeoutMs !== undefined) this.#deadline = peer.clock.after(options.timeoutMs, () => this.#onDeadline());
    if (this.#signal?.aborted) this.#onAbort();
    else this.#waiting = link.whenStanding(() => this.#send());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Msg>> {
    const message = this.#queue[this.#taken];
    if (message) {
      if (++this.#taken === this.#queue.length) this.#taken = this.#queue.length = 0;
      return Promise.resolve({ done: false, value: message });
    }
    this.#answerPing();
    if (this.#ended) return this.#last(this.#ended.error);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Msg>> {
    this.#leave();
    this.#end(undefined);
    this.#queue.length = this.#taken = 0;
    return Promise.resolve({ done: true, value: undefined });
  }

  #leave(): void {
    if (!this.#ended && this.#server) this.#say('close');
  }

  #say(word: string, reply = ''): void {
    if (this.#peer.nc.isClosed()) return;
    const headers = rawHeaders(encodeLines(`${HEADERS.stream}: ${word}\r\n`));
    this.#peer.nc.publish(this.#server, new Uint8Array(0), { headers, reply });
  }

  /** Tells the server that we live, and so is told when nobody listens there any more. */
  #probeIt(): void {
    this.#probe = new StreamProbe(this.#peer.clock, () => this.#say('wait', this.#inbox));
    this.#peer.probes.add(this.#probe);
  }

  #probeNoMore(): void {
    if (this.#probe) this.#peer.probes.delete(this.#probe);
    this.#probe = undefined;
  }

  #last(error: HiveError | undefined): Promise<IteratorResult<Msg>> {
    this.#ended = { error: undefined }; // told once
    return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
  }

  #send(): void {
    const { nc, service, federation, token } = this.#peer;
    this.#subscription?.unsubscribe();
    this.#probeNoMore();
    this.#server = '';
    const inbox = createInbox();
    this.#inbox = inbox;
    const id = inbox.slice(inbox.indexOf('.') + 1);
    const lines = requestLines(this.#peer, this.#method.requestType, this.#trace, token(), id) + this.#timeout;
    try {
      const callback = (error: unknown, message: Msg) => (error ? undefined : this.#onMessage(message));
      this.#subscription = sending(() => nc.subscribe(inbox, { callback }));
      publishRequest(nc, rpcSubject(federation, service, this.#method.name), this.#body, lines, inbox);
    } catch (error) {
      return this.#end(HiveError.from(error));
    }
    this.#asked = true;
    this.#silence?.[Symbol.dispose]();
    this.#silence = this.#peer.clock.after(FIRST_WAIT_MS * 2 ** this.#unheard, () => {
      if (++this.#unheard < MAX_UNHEARD) this.#send();
      else this.#onSilence();
    });
  }

  #listen(): void {
    this.#silence?.[Symbol.dispose]();
    this.#silence = this.#peer.clock.after(SILENCE_MS, () => this.#onSilence());
  }

  #onDenied(violation: PermissionViolationError): void {
    const { federation, service } = this.#peer;
    const own = [this.#inbox, rpcSubject(federation, service, this.#method.name)];
    if (own.includes(violation.subject)) this.#end(notPermitted(violation));
  }

  #onSilence(): void {
    const message = `the ${this.#peer.service} server of ${this.#method.name} said nothing for ${SILENCE_MS} ms`;
    this.#end(new HiveError('UNAVAILABLE', message, { reason: 'STREAM_SILENT' }));
  }

  #onMessage(message: Msg): void {
    const error = isNoResponders(message) ? this.#nobody() : errorOf(message);
    if (error) return this.#onError(error);
    this.#listen();
    const word = message.data.length > 0 ? undefined : decodeHeaders(headerBytes(message)).get(HEADERS.stream);
    if (word === 'end') return this.#end(undefined);
    if (word === 'open') return this.#meet(message);
    if (word === 'ping') return this.#onPing(message);
    this.#heard = true;
    this.#meet(message);
    this.#probe?.heard();
    if (!this.#waiter) return void this.#queue.push(message);
    const { resolve } = this.#waiter;
    this.#waiter = undefined;
    resolve({ done: false, value: message });
  }

  #nobody(): HiveError {
    if (!this.#server) return nobodyServes(this.#peer);
    this.#probeNoMore();
    this.#peer.probes.oneIsGone();
    const message = `the ${this.#peer.service} server of ${this.#method.name} is gone`;
    return new HiveError('UNAVAILABLE', message, { reason: 'STREAM_BROKEN' });
  }

  /** Only a stream of which nothing has come yet may be asked for again: the consumer knows where to go on, not we. */
  #onError(error: HiveError): void {
    const delayMs = backoffMs(++this.#refused, error, this.#peer.rng);
    const elapsedMs = this.#peer.clock.monotonic() - this.#startedAt;
    const patience = { ...this.#patience, timeoutMs: Math.min(this.#patience.timeoutMs, this.#patience.briefMs) };
    if (this.#heard || !mayRetry(error, elapsedMs, delayMs, patience)) return this.#end(error);
    this.#silence?.[Symbol.dispose]();
    this.#silence = this.#peer.clock.after(delayMs, () => this.#send());
  }

  #meet(message: Msg): void {
    if (this.#server || !message.reply) return;
    this.#server = message.reply;
    this.#probeIt();
  }

  #onPing(message: Msg): void {
    this.#ping = message;
    this.#meet(message);
    // Somebody waits for the next item, so all before were taken; else it must be told that we live.
    if (this.#waiter) this.#answerPing();
    else message.respond(new Uint8Array(0), { headers: rawHeaders(encodeLines(`${HEADERS.stream}: wait\r\n`)) });
  }

  #answerPing(): void {
    this.#ping?.respond();
    this.#ping = undefined;
  }

  readonly #onAbort = (): void => {
    this.#leave();
    this.#end(gaveUp());
  };

  #onDeadline(): void {
    const message = `the stream ${this.#method.name} was to last ${this.#patience.timeoutMs} ms at most`;
    this.#end(new HiveError('DEADLINE_EXCEEDED', message));
  }

  #end(error: HiveError | undefined): void {
    if (this.#ended) return;
    this.#ended = { error };
    this.#silence?.[Symbol.dispose]();
    this.#probeNoMore();
    this.#unlost[Symbol.dispose]();
    this.#undenied[Symbol.dispose]();
    this.#waiting?.[Symbol.dispose]();
    this.#deadline?.[Symbol.dispose]();
    if (this.#signal) offAbort(this.#signal, this.#onAbort);
    if (!this.#peer.nc.isClosed()) this.#subscription?.unsubscribe();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) this.#last(error).then(waiter.resolve, waiter.reject);
  }
}
