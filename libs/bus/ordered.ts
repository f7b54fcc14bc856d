import { type ConsumerMessages, DeliverPolicy, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { Link } from './link.ts';
import { streamError } from './streams.ts';

export interface OrderedOptions {
  readonly nc: NatsConnection;
  readonly stream: string;
  /** The first message is the next one after this sequence; what is gone is passed over in silence. */
  readonly after: number;
  /** Only messages of this subject; wildcards allowed. */
  readonly subject?: string;
  /** Default: the messages are iterated over. */
  readonly callback?: (message: JsMsg) => void;
}

/** One batch in flight holds at most 100 messages of 448 KB: less than what makes a client a slow consumer. */
const MAX_MESSAGES = 100;
/** A consumer that has missed two of these is given up: that takes as long as an election. */
const HEARTBEAT_MS = 2000;

/**
 * A stream's messages, in order, until they are stopped or the consumer seems to be lost: it lives on one server of a
 * cluster and goes with it. The client would ask for it until that server is back; whoever called asks for another.
 */
export async function orderedMessages(options: OrderedOptions): Promise<ConsumerMessages> {
  const { nc, stream, after, subject, callback } = options;
  try {
    const consumer = await jetstream(nc).consumers.get(stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
      ...(subject === undefined ? {} : { filter_subjects: subject }),
    });
    const consuming = { max_messages: MAX_MESSAGES, idle_heartbeat: HEARTBEAT_MS };
    const messages = await consumer.consume(callback ? { ...consuming, callback } : consuming);
    const lost = Link.of(nc).whenLost(() => messages.stop());
    void stopWhenSilent(messages);
    void messages.closed().then(() => {
      lost[Symbol.dispose]();
      consumer.delete().catch(() => {}); // else the server would keep it for minutes
    });
    return messages;
  } catch (error) {
    throw streamError(stream, error);
  }
}

async function stopWhenSilent(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) if (type === 'heartbeats_missed') messages.stop();
}
