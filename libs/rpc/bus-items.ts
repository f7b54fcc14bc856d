import { createInbox, type Msg, type Subscription } from '@nats-io/nats-core';
import { headerBytes, isNoResponders } from '../bus/message.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { HiveError } from '../kernel/errors.ts';
import { decodeHeaders, encodeLines, HEADERS } from '../protocol/envelope.ts';
import { rpcSubject } from '../protocol/subjects.ts';
import type { CallOptions } from './api.ts';
import { backoffMs, mayRetry, type Patience } from './backoff.ts';
import type { Method } from './binding.ts';
import { errorOf } from './bus-answers.ts';
import { type BusPeer, encodeRequest, gaveUp, nobodyServes, requestLines, sending, traceOf } from './bus-request.ts';
import { PING_MS } from './bus-stream.ts';

/** A server that said nothing for so long, not even a ping, is gone. */
const SILENCE_MS = 3 * PING_MS;

type Waiter = { resolve(result: IteratorResult<Msg>): void; reject(error: HiveError): void };

/**
 * The client's side of a server stream over the bus (the protocol is in bus-stream.ts): messages as they come, with an
 * inbox of its own that is given up when the stream ends. Pings are answered when everything before was taken.
 */
export class BusItems implements AsyncIterableIterator<Msg> {
  readonly #peer: BusPeer;
  readonly #method: Method;
  readonly #body: Buffer;
  readonly #lines: string;
  readonly #inbox = createInbox();
  readonly #subscription: Subscription;
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
  #deadline: Disposable | undefined;

  constructor(peer: BusPeer, method: Method, request: unknown, options: CallOptions) {
    this.#peer = peer;
    this.#method = method;
    this.#signal = options.signal;
    this.#startedAt = peer.clock.monotonic();
    this.#patience = { timeoutMs: options.timeoutMs ?? Number.POSITIVE_INFINITY, briefMs: peer.patienceMs };
    this.#body = encodeRequest(peer.nc, JSON.stringify(request));
    const timeout = options.timeoutMs === undefined ? '' : `${HEADERS.timeout}: ${Math.ceil(options.timeoutMs)}\r\n`;
    const id = this.#inbox.slice(this.#inbox.indexOf('.') + 1);
    this.#lines = requestLines(peer, method.requestType, traceOf(peer), peer.token(), id) + timeout;
    const callback = (_: unknown, message: Msg) => this.#onMessage(message);
    this.#subscription = sending(() => peer.nc.subscribe(this.#inbox, { callback }));
    this.#signal?.addEventListener('abort', this.#onAbort);
    if (options.timeoutMs !== undefined) this.#deadline = peer.clock.after(options.timeoutMs, () => this.#onDeadline());
    if (this.#signal?.aborted) this.#onAbort();
    else this.#send();
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
    if (this.#ended || !this.#server) return;
    const headers = rawHeaders(encodeLines(`${HEADERS.stream}: close\r\n`));
    if (!this.#peer.nc.isClosed()) this.#peer.nc.publish(this.#server, new Uint8Array(0), { headers });
  }

  #last(error: HiveError | undefined): Promise<IteratorResult<Msg>> {
    this.#ended = { error: undefined }; // told once
    return error ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
  }

  #send(): void {
    const { nc, service, federation } = this.#peer;
    const headers = rawHeaders(encodeLines(this.#lines));
    const subject = rpcSubject(federation, service, this.#method.name);
    try {
      sending(() => nc.publish(subject, this.#body, { headers, reply: this.#inbox }));
    } catch (error) {
      return this.#end(HiveError.from(error));
    }
    this.#listen();
  }

  #listen(): void {
    this.#silence?.[Symbol.dispose]();
    this.#silence = this.#peer.clock.after(SILENCE_MS, () => {
      const message = `the ${this.#peer.service} server of ${this.#method.name} said nothing for ${SILENCE_MS} ms`;
      this.#end(new HiveError('UNAVAILABLE', message, { reason: 'STREAM_SILENT' }));
    });
  }

  #onMessage(message: Msg): void {
    const error = isNoResponders(message) ? nobodyServes(this.#peer) : errorOf(message);
    if (error) return this.#onError(error);
    this.#listen();
    const word = message.data.length > 0 ? undefined : decodeHeaders(headerBytes(message)).get(HEADERS.stream);
    if (word === 'end') return this.#end(undefined);
    if (word === 'ping') return this.#onPing(message);
    this.#heard = true;
    this.#server ||= message.reply ?? '';
    if (!this.#waiter) return void this.#queue.push(message);
    const { resolve } = this.#waiter;
    this.#waiter = undefined;
    resolve({ done: false, value: message });
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

  #onPing(message: Msg): void {
    this.#ping = message;
    this.#server ||= message.reply ?? '';
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
    this.#deadline?.[Symbol.dispose]();
    this.#signal?.removeEventListener('abort', this.#onAbort);
    if (!this.#peer.nc.isClosed()) this.#subscription.unsubscribe();
    const waiter = this.#waiter;
    this.#waiter = undefined;
    if (waiter) this.#last(error).then(waiter.resolve, waiter.reject);
  }
}
