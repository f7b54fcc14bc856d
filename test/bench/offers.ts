import { setTimeout as sleep } from 'node:timers/promises';
import { createInbox, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { encodeLines, HEADERS } from '../../libs/protocol/envelope.ts';
import { RequestIds } from '../../libs/protocol/request-ids.ts';
import { rpcBundleSubject } from '../../libs/protocol/subjects.ts';
import { callsText, callText, readAnswers } from '../../libs/rpc/bundle.ts';
import { errorOf } from '../../libs/rpc/bus-answers.ts';
import { requestLines } from '../../libs/rpc/bus-peer.ts';

const TIMEOUT_MS = 10_000;
const TRACE = { traceparent: '', correlationId: 'offers', hops: 0 };
const METHOD = 'SubmitTask';

export type Told = (error: Pick<HiveError, 'code' | 'retryAfterMs'> | undefined, afterMs: number) => void;

/** Calls in one message. */
interface Message {
  readonly reply: string;
  readonly headers: Uint8Array;
  readonly body: Buffer;
  readonly calls: number;
}

/** One that is not answered yet: when it was due, and how many of its calls are open. */
interface Sent {
  readonly dueAt: number;
  readonly calls: number;
  left: number;
}

/**
 * Submissions as a client puts them on the bus, up to 256 in a message, but made before they are sent, and nothing is sent
 * twice: so that one process can offer ten times what a whole system takes, on the same machine, and take little of it.
 */
export class Offers {
  readonly #nc: NatsConnection;
  readonly #told: Told;
  readonly #ids = new RequestIds('offers');
  readonly #inbox = createInbox();
  readonly #sent = new Map<string, Sent>();
  #made: readonly Message[] = [];
  #sentCount = 0;
  #count = 0;

  constructor(nc: NatsConnection, told: Told) {
    this.#nc = nc;
    this.#told = told;
    nc.subscribe(`${this.#inbox}.*`, { callback: (_, message) => this.#onAnswer(message) });
  }

  /** Makes messages, each with so many calls; `request` gives a SubmitTaskRequest as JSON. */
  make(messages: number, calls: number, token: string, request: () => string): void {
    this.#made = Array.from({ length: messages }, () => this.#message(calls, token, request));
  }

  /** Sends the next of them, if there is one. */
  send(dueAt: number): void {
    const message = this.#made[this.#sentCount];
    if (!message) return;
    this.#sentCount++;
    const { reply, headers, body, calls } = message;
    this.#sent.set(reply, { dueAt, calls, left: calls });
    this.#nc.publish(rpcBundleSubject('main', 'pool'), body, { headers: rawHeaders(headers), reply });
  }

  /** Waits for what is not answered yet; what never is counts as DEADLINE_EXCEEDED. */
  async answered(): Promise<void> {
    const giveUpAt = performance.now() + TIMEOUT_MS;
    while (this.#sent.size > 0 && performance.now() < giveUpAt) await sleep(50);
    const never = { code: 'DEADLINE_EXCEEDED', retryAfterMs: undefined } as const;
    for (const { left, dueAt } of this.#sent.values()) {
      for (let i = 0; i < left; i++) this.#told(never, performance.now() - dueAt);
    }
    this.#sent.clear();
  }

  #message(calls: number, token: string, request: () => string): Message {
    const reply = `${this.#inbox}.${this.#count++}`;
    const texts = Array.from({ length: calls }, (_, i) => {
      const { client, counter } = this.#ids.take();
      const id = `${client}:${counter}`;
      const call = { method: METHOD, id, timeoutMs: TIMEOUT_MS, trace: TRACE, reply: `${reply}-${i}`, json: request() };
      return callText(call, TIMEOUT_MS);
    });
    const peer = { source: '/hivebus/clients/offers', clock: systemClock };
    const lines = requestLines(peer, 'hivebus.Bundle', TRACE, token, reply);
    const own = `${HEADERS.timeout}: ${TIMEOUT_MS}\r\n${HEADERS.method}: ${METHOD}\r\n`;
    return { reply, headers: encodeLines(lines + own), body: Buffer.from(callsText(texts)), calls };
  }

  #onAnswer(message: Msg): void {
    const sent = this.#sent.get(message.subject);
    if (!sent) return;
    const afterMs = performance.now() - sent.dueAt;
    const whole = errorOf(message);
    const errors = whole
      ? Array<HiveError>(sent.calls).fill(whole)
      : readAnswers(message.data).map(({ error }) => error);
    for (const error of errors) this.#told(error && { code: error.code, retryAfterMs: error.retryAfterMs }, afterMs);
    sent.left -= errors.length;
    if (sent.left === 0) this.#sent.delete(message.subject);
  }
}
