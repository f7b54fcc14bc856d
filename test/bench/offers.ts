import { setTimeout as sleep } from 'node:timers/promises';
import { createInbox, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { encodeLines, HEADERS } from '../../libs/protocol/envelope.ts';
import { rpcBundleSubject } from '../../libs/protocol/subjects.ts';
import { callsText, callText, MAX_CALLS, readAnswers } from '../../libs/rpc/bundle.ts';
import { errorOf } from '../../libs/rpc/bus-answers.ts';
import { requestLines } from '../../libs/rpc/bus-peer.ts';
import { RequestIds } from '../../libs/rpc/request-ids.ts';
import type { SubmitTaskRequest } from '../../libs/wire/hivebus/pool/v1/pool.ts';

const TIMEOUT_MS = 10_000;
const TRACE = { traceparent: '', correlationId: 'offers', hops: 0 };
const METHOD = 'SubmitTask';

type Told = (error: Pick<HiveError, 'code' | 'retryAfterMs'> | undefined, afterMs: number) => void;

/** Calls in one message that are not answered yet. */
interface Sent {
  readonly ids: ReturnType<RequestIds['take']>[];
  readonly sentAt: number;
  left: number;
}

/**
 * Submissions as a client puts them on the bus, up to 256 in a message, but without what a client does for each: so that
 * one process can offer ten times what a whole system takes, on the same machine. Nothing is sent twice.
 */
export class Offers {
  readonly #nc: NatsConnection;
  readonly #token: () => string;
  readonly #told: Told;
  readonly #ids = new RequestIds('offers');
  readonly #inbox = createInbox();
  readonly #sent = new Map<string, Sent>();
  #count = 0;

  constructor(nc: NatsConnection, token: () => string, told: Told) {
    this.#nc = nc;
    this.#token = token;
    this.#told = told;
    nc.subscribe(`${this.#inbox}.*`, { callback: (_, message) => this.#onAnswer(message) });
  }

  submit(requests: readonly SubmitTaskRequest[]): void {
    for (let i = 0; i < requests.length; i += MAX_CALLS) this.#send(requests.slice(i, i + MAX_CALLS));
  }

  /** Waits for what is not answered yet; what never is counts as DEADLINE_EXCEEDED. */
  async answered(): Promise<void> {
    const giveUpAt = performance.now() + TIMEOUT_MS;
    while (this.#sent.size > 0 && performance.now() < giveUpAt) await sleep(50);
    for (const { left, sentAt } of this.#sent.values()) {
      for (let i = 0; i < left; i++)
        this.#told({ code: 'DEADLINE_EXCEEDED', retryAfterMs: undefined }, performance.now() - sentAt);
    }
    this.#sent.clear();
  }

  #send(requests: readonly SubmitTaskRequest[]): void {
    const reply = `${this.#inbox}.${this.#count++}`;
    const ids = requests.map(() => this.#ids.take());
    const calls = requests.map((request, i) => {
      const { client, counter } = ids[i] as (typeof ids)[number];
      const call = { method: METHOD, id: `${client}:${counter}`, timeoutMs: TIMEOUT_MS, trace: TRACE };
      return callText({ ...call, reply: `${reply}-${i}`, json: JSON.stringify(request) }, TIMEOUT_MS);
    });
    const peer = { source: '/hivebus/clients/offers', clock: systemClock };
    const lines = requestLines(peer, 'hivebus.Bundle', TRACE, this.#token(), reply);
    const own = `${HEADERS.timeout}: ${TIMEOUT_MS}\r\n${HEADERS.method}: ${METHOD}\r\n`;
    const body = Buffer.from(callsText(calls));
    this.#sent.set(reply, { ids, sentAt: performance.now(), left: ids.length });
    this.#nc.publish(rpcBundleSubject('main', 'pool'), body, { headers: rawHeaders(encodeLines(lines + own)), reply });
  }

  #onAnswer(message: Msg): void {
    const sent = this.#sent.get(message.subject);
    if (!sent) return;
    const afterMs = performance.now() - sent.sentAt;
    const whole = errorOf(message);
    const errors = whole ? sent.ids.map(() => whole) : readAnswers(message.data).map(({ error }) => error);
    for (const error of errors) this.#told(error && { code: error.code, retryAfterMs: error.retryAfterMs }, afterMs);
    sent.left -= errors.length;
    if (sent.left > 0) return;
    this.#sent.delete(message.subject);
    for (const id of sent.ids) this.#ids.release(id);
  }
}
