import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { createInbox } from '@nats-io/nats-core';
import { connectionLost, Link } from '../bus/link.ts';
import { headerBytes, isNoResponders } from '../bus/message.ts';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { decodeHeaders, HEADERS } from '../protocol/envelope.ts';
import type { BusAnswers } from './bus-answers.ts';
import { takesNothing } from './in-flight.ts';
import { pump } from './interruptible.ts';
import type { ServerCall } from './server-call.ts';

/**
 * The server's side of a server stream over the bus. It says `hive-stream: open` when it has taken the request. Each item
 * is a message to the request's inbox; an empty message with the header `hive-stream: end` ends it, as does an error.
 * After 64 items or 1 MiB, and every 5 s, the server sends `hive-stream: ping`. The client answers with an empty message
 * when its consumer has taken what came before, which is the flow control; until then it may answer `hive-stream: wait`,
 * which says that it lives, and it may say so unasked to find out whether the server does. Items and pings are requests,
 * so that the bus itself says when nobody listens any more ("no responders"); a client may also leave by answering any of
 * them with `hive-stream: close`. Two pings without an answer: the client is gone. One that lives and takes nothing for
 * `stallMs` is ended. A server that loses its connection ends the stream: an item may be lost.
 */
const WINDOW = 64;
const WINDOW_BYTES = 1 << 20;
export const PING_MS = 5000;

export interface BusStreamOptions {
  readonly nc: NatsConnection;
  readonly stallMs: number;
}

export class BusStream {
  readonly #nc: NatsConnection;
  readonly #answers: BusAnswers;
  readonly #to: string;
  readonly #call: ServerCall;
  readonly #clock: Clock;
  readonly #stallMs: number;
  readonly #inbox = createInbox();
  readonly #pongs: Subscription;
  /** Items sent since the client last said that it has taken all. */
  #untaken = 0;
  #untakenBytes = 0;
  /** A ping is out; how many went without an answer. */
  #pinged = false;
  #missed = 0;
  #timer: Disposable | undefined;
  #stalled: Disposable | undefined;
  #taken: (() => void) | undefined;

  constructor(options: BusStreamOptions, answers: BusAnswers, to: string, call: ServerCall, clock: Clock) {
    const { nc, stallMs } = options;
    this.#nc = nc;
    this.#stallMs = stallMs;
    this.#answers = answers;
    this.#to = to;
    this.#call = call;
    this.#clock = clock;
    this.#pongs = nc.subscribe(this.#inbox, { callback: (_, message) => this.#onPong(message) });
  }

  /** Sends all items and that they ended. Resolves when nothing more will be sent; rejects with what ended it early. */
  async run(items: AsyncIterable<unknown>, type: string): Promise<void> {
    const { signal, trace } = this.#call;
    this.#answers.signal(this.#to, 'open', this.#call.trace, this.#inbox);
    this.#tickLater();
    using _ = Link.of(this.#nc).whenLost(() => this.#call.abort(connectionLost()));
    try {
      await pump(items, signal, (item) => {
        this.#untakenBytes += this.#answers.send(this.#to, type, item, trace, this.#inbox);
        return ++this.#untaken < WINDOW && this.#untakenBytes < WINDOW_BYTES ? undefined : this.#allTaken();
      });
      this.#answers.signal(this.#to, 'end', trace);
    } finally {
      this.#timer?.[Symbol.dispose]();
      this.#stalled?.[Symbol.dispose]();
      // After the last word, which says why it ended: whoever asks before he has heard it must not be told that nobody is here.
      this.#clock.defer(() => this.#nc.isClosed() || this.#pongs.unsubscribe());
    }
  }

  #allTaken(): Promise<void> {
    return new Promise((resolve) => {
      this.#stalled = this.#clock.after(this.#stallMs, () => this.#call.abort(takesNothing(this.#stallMs)));
      this.#taken = resolve;
      this.#ping();
    });
  }

  #ping(): void {
    this.#pinged = true;
    this.#answers.signal(this.#to, 'ping', this.#call.trace, this.#inbox);
  }

  #tickLater(): void {
    this.#timer = this.#clock.after(PING_MS, () => {
      this.#missed = this.#pinged ? this.#missed + 1 : 0;
      if (this.#missed >= 2) return this.#clientGone();
      this.#ping();
      this.#tickLater();
    });
  }

  #onPong(message: Msg): void {
    if (isNoResponders(message)) return this.#clientGone();
    this.#missed = 0;
    const word = decodeHeaders(headerBytes(message)).get(HEADERS.stream);
    if (word === 'wait') return;
    if (word === 'close') return this.#clientGone();
    this.#pinged = false;
    this.#untaken = this.#untakenBytes = 0;
    this.#stalled?.[Symbol.dispose]();
    this.#taken?.();
  }

  #clientGone(): void {
    this.#call.abort(new HiveError('CANCELLED', 'the client is gone'));
  }
}
