import type { Msg, PermissionViolationError } from '@nats-io/nats-core';
import { Link } from '../bus/link.ts';
import { isNoResponders } from '../bus/message.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { ReplyBox } from '../bus/reply-box.ts';
import { HiveError } from '../kernel/errors.ts';
import { SlotSet, type Slotted } from '../kernel/slot-set.ts';
import { encodeLines, HEADERS } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { rpcBundleSubject } from '../protocol/subjects.ts';
import { type CallText, callsText, callText, MAX_CALLS, readAnswers } from './bundle.ts';
import { errorOf } from './bus-answers.ts';
import { type Answer, type BusPeer, nobodyServes, requestLines, sending } from './bus-peer.ts';

/** Requests of more characters travel alone. */
const LARGE = 16 * 1024;
/** A message has at most so many characters, */
const MAX_LENGTH = 128 * 1024;
/** counting so many for what a call says of itself, */
const CALL_LENGTH = 512;
/** and not more than this part of the bytes that the bus carries: characters take up to 3, and headers want room. */
const PAYLOAD_PARTS = 4;

/** A call that may travel alone or with others. */
export interface Outgoing extends Slotted {
  readonly id: string;
  readonly trace: Trace;
  readonly json: string;
  /** Nobody waits for its answer any more. */
  readonly ended: boolean;
  /** Goes as a message of its own, and waits for its answer. */
  sendAlone(): void;
  /** Goes with others: what it has to say, and who must know when it is over. */
  joined(bundle: Bundle): CallText;
  /** It went with others, and there was time enough for an answer. */
  unanswered(): void;
  onAnswer(answer: Answer | HiveError): void;
  fail(error: HiveError): void;
  /** The NATS server refuses something to this connection: is it what this call needs? */
  denied(violation: PermissionViolationError): void;
}

/**
 * Sends what a client calls in one tick, together if it is more than one. Holding it back for so long costs no time: the
 * connection writes at the end of the tick too.
 */
export class BusOutbox {
  readonly #peer: BusPeer;
  #requests: Outgoing[] = [];
  /** Those that wait for an answer; while there are any, refusals of the NATS server are listened to. */
  readonly #waiting = new SlotSet<Outgoing>();
  #undenied: Disposable | undefined;

  constructor(peer: BusPeer) {
    this.#peer = peer;
  }

  add(request: Outgoing): void {
    this.#waiting.add(request);
    this.#undenied ??= Link.of(this.#peer.nc).whenDenied((violation) => {
      for (const each of this.#waiting.all()) each.denied(violation);
    });
    if (this.#requests.push(request) === 1) queueMicrotask(() => this.#flush());
  }

  /** It waits no more. */
  left(request: Outgoing): void {
    this.#waiting.delete(request);
    if (this.#waiting.size > 0) return;
    this.#undenied?.[Symbol.dispose]();
    this.#undenied = undefined;
  }

  #flush(): void {
    const requests = this.#requests.filter((request) => !request.ended);
    this.#requests = [];
    for (const part of this.#parts(requests)) {
      if (part.length === 1) part[0]?.sendAlone();
      else this.#sendTogether(part);
    }
  }

  *#parts(requests: readonly Outgoing[]): Generator<readonly Outgoing[]> {
    const maxLength = Math.min(MAX_LENGTH, (this.#peer.nc.info?.max_payload ?? MAX_LENGTH) / PAYLOAD_PARTS);
    let part: Outgoing[] = [];
    let length = 0;
    for (const request of requests) {
      const own = request.json.length + CALL_LENGTH;
      if (own > LARGE) {
        yield [request];
        continue;
      }
      if (part.length === MAX_CALLS || length + own > maxLength) {
        yield part;
        [part, length] = [[], 0];
      }
      part.push(request);
      length += own;
    }
    if (part.length > 0) yield part;
  }

  #sendTogether(requests: readonly Outgoing[]): void {
    const { nc, service, federation, token } = this.#peer;
    const [first] = requests;
    if (!first) return;
    let bundle: Bundle;
    try {
      bundle = new Bundle(this.#peer, requests);
    } catch (error) {
      return failAll(requests, error);
    }
    const calls = requests.map((request) => request.joined(bundle));
    const timeoutMs = calls[0]?.timeoutMs ?? 0;
    const texts = calls.map((call) => callText(call, timeoutMs));
    // What a call leaves out it takes from here.
    const trace = { ...first.trace, traceparent: '', hops: 0 };
    const timeout = `${HEADERS.timeout}: ${timeoutMs}\r\n`;
    const lines = requestLines(this.#peer, 'hivebus.Bundle', trace, token(), first.id) + timeout + methodLine(calls);
    const options = { headers: rawHeaders(encodeLines(lines)), reply: bundle.replyTo };
    try {
      sending(() => nc.publish(rpcBundleSubject(federation, service), Buffer.from(callsText(texts)), options));
    } catch (error) {
      failAll(requests, error);
    }
  }
}

function failAll(requests: readonly Outgoing[], error: unknown): void {
  for (const request of requests) request.fail(HiveError.from(error));
}

const methodLine = (calls: readonly CallText[]): string => {
  const method = calls[0]?.method ?? '';
  return calls.every((call) => call.method === method) ? `${HEADERS.method}: ${method}\r\n` : '';
};

/** Calls that were sent together, and where their answers come; those that get none in time are told together, too. */
export class Bundle {
  readonly replyTo: string;
  readonly #peer: BusPeer;
  readonly #requests: readonly Outgoing[];
  readonly #timer: Disposable;
  #waiting: number;

  /** Throws UNAVAILABLE when the connection is closed. */
  constructor(peer: BusPeer, requests: readonly Outgoing[]) {
    this.#peer = peer;
    this.#requests = requests;
    this.#waiting = requests.length;
    this.replyTo = sending(() => ReplyBox.of(peer.nc).open((message) => this.#onMessage(message)));
    this.#timer = peer.clock.after(peer.attemptMs, () => {
      for (const request of requests) request.unanswered();
    });
  }

  /** One of the calls is over, whatever answered it. */
  left(): void {
    if (--this.#waiting > 0) return;
    this.#timer[Symbol.dispose]();
    ReplyBox.of(this.#peer.nc).close(this.replyTo);
  }

  #onMessage(message: Msg): void {
    try {
      const error = isNoResponders(message) ? nobodyServes(this.#peer) : errorOf(message);
      if (error) throw error;
      for (const { call, answer, error: json } of readAnswers(message.data)) {
        this.#requests[call]?.onAnswer(json ? HiveError.fromJSON(json) : { value: answer });
      }
    } catch (error) {
      for (const request of this.#requests) request.onAnswer(HiveError.from(error));
    }
  }
}
