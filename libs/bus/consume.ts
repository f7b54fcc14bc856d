import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  type JetStreamManager,
  type JsMsg,
  jetstream,
} from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/nats-core';
import { CODES, HiveError } from '../kernel/errors.ts';
import { encodeHeaders, HEADERS } from '../protocol/envelope.ts';
import { deadLetterSubject } from '../protocol/subjects.ts';
import { rawHeaders } from './raw-headers.ts';
import { streamError } from './streams.ts';

/**
 * Consuming, in one place. A message that was handled is acknowledged; one whose handling failed in a way that may pass
 * comes again after a while; one that is malformed or can never be handled goes to the dead-letter stream first and is
 * given up only then. So nothing is dropped silently, and a handler may see a message more than once.
 */
export interface ConsumeOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly federation: string;
  readonly stream: string;
  /** The consumer's name: replicas that share it share the work, and it goes on where it stood. */
  readonly durable: string;
  /** Only messages of this subject; wildcards allowed. */
  readonly subject: string;
  /** Resolves when the message is done with; throws a HiveError, retryable or not. */
  readonly handle: (message: Incoming) => Promise<void>;
  readonly onOutcome?: (outcome: Outcome, error?: HiveError) => void;
  /** Messages being handled at once; 1 keeps their order. */
  readonly maxInFlight?: number;
  /** A message whose handler is silent for so long goes to somebody else; running handlers keep it theirs. */
  readonly ackWaitMs?: number;
  /** After so many deliveries a message is given up even if it may pass. */
  readonly maxDeliveries?: number;
}

export type Outcome = 'done' | 'retried' | 'dead';

export interface Incoming {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Its place in the stream. */
  readonly seq: number;
  /** 1 at first. */
  readonly delivery: number;
  header(name: string): string;
}

const DEFAULTS = { maxInFlight: 64, ackWaitMs: 30_000, maxDeliveries: 100 };
const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 30_000;

/** Consumes until disposed, which waits for what is being handled. */
export async function consume(options: ConsumeOptions): Promise<AsyncDisposable> {
  const all = { ...DEFAULTS, ...options };
  const consumer = await durableConsumer(all);
  // By messages, not bytes: with max_bytes the client stalls when the next message does not fit.
  const messages = await consumer.consume({ max_messages: all.maxInFlight });
  const running = new Set<Promise<void>>();
  const done = (async () => {
    for await (const message of messages) {
      const work = process(all, message).finally(() => running.delete(work));
      running.add(work);
    }
  })();
  return {
    [Symbol.asyncDispose]: async () => {
      await messages.close();
      await done;
      await Promise.all(running);
    },
  };
}

async function durableConsumer(options: ConsumeOptions & typeof DEFAULTS): Promise<Consumer> {
  const { nc, jsm, stream, durable, subject, maxInFlight, ackWaitMs } = options;
  try {
    await jsm.consumers.add(stream, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      filter_subject: subject,
      ack_wait: nanos(ackWaitMs),
      max_ack_pending: maxInFlight,
      max_deliver: -1, // we count, so that the last one goes to the dead letters
    });
    return await jetstream(nc).consumers.get(stream, durable);
  } catch (error) {
    throw streamError(stream, error);
  }
}

async function process(options: ConsumeOptions & typeof DEFAULTS, message: JsMsg): Promise<void> {
  const keep = setInterval(() => message.working(), options.ackWaitMs / 2);
  try {
    await options.handle(incoming(message));
    message.ack();
    options.onOutcome?.('done');
  } catch (cause) {
    await failed(options, message, HiveError.from(cause));
  } finally {
    clearInterval(keep);
  }
}

const incoming = (message: JsMsg): Incoming => ({
  subject: message.subject,
  data: message.data,
  seq: message.seq,
  delivery: message.info.deliveryCount,
  header: (name) => message.headers?.get(name) ?? '',
});

async function failed(options: ConsumeOptions & typeof DEFAULTS, message: JsMsg, error: HiveError): Promise<void> {
  const { deliveryCount } = message.info;
  if (error.retryable && deliveryCount < options.maxDeliveries) return retry(options, message, error);
  try {
    await bury(options, message, error);
  } catch (cause) {
    // No dead letter, no end: it comes again until there is room for it.
    return retry(options, message, HiveError.from(cause));
  }
  message.term(error.code);
  options.onOutcome?.('dead', error);
}

function retry(options: ConsumeOptions, message: JsMsg, error: HiveError): void {
  const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** (message.info.deliveryCount - 1));
  message.nak(Math.max(delayMs, error.retryAfterMs ?? 0));
  options.onOutcome?.('retried', error);
}

/** Headers of a dead letter beside the message's own payload. */
export const DEAD_HEADERS = {
  code: 'hive-dead-code',
  reason: 'hive-dead-reason',
  subject: 'hive-dead-subject',
  sequence: 'hive-dead-sequence',
  deliveries: 'hive-dead-deliveries',
} as const;

async function bury(options: ConsumeOptions, message: JsMsg, error: HiveError): Promise<void> {
  const { nc, federation, stream, durable } = options;
  const headers = encodeHeaders({
    'Nats-Msg-Id': `${stream}-${durable}-${message.seq}`, // once, even if the answer is lost
    [DEAD_HEADERS.code]: `${CODES[error.code]} ${error.code}`,
    [DEAD_HEADERS.reason]: error.message.slice(0, 1024).replaceAll(/[\r\n\0]+/g, ' '),
    [DEAD_HEADERS.subject]: message.subject,
    [DEAD_HEADERS.sequence]: String(message.seq),
    [DEAD_HEADERS.deliveries]: String(message.info.deliveryCount),
    [HEADERS.correlation]: message.headers?.get(HEADERS.correlation) ?? '',
  });
  await jetstream(nc).publish(deadLetterSubject(federation, durable), message.data, { headers: rawHeaders(headers) });
}
