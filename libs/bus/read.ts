import type { ConsumerMessages, JetStreamManager, JsMsg } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { orderedMessages } from './ordered.ts';
import { streamError } from './streams.ts';

export interface ReadOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly stream: string;
  /** Only messages of this subject; wildcards allowed. */
  readonly subject: string;
  /** Only messages after this sequence; default 0. What was removed meanwhile is passed over. */
  readonly after?: number;
  /** False: what is kept now, then end. True: then what comes, until the signal aborts. */
  readonly follow: boolean;
  /** With `follow`: once it has resolved, what is kept then is read to its end, and that is the end. */
  readonly until?: Promise<void> | undefined;
  readonly signal: AbortSignal;
}

/** A stream's messages in order, for a reader that leaves nothing behind. Ends, without an error, when `signal` aborts. */
export async function* readStream(options: ReadOptions): AsyncGenerator<JsMsg> {
  const { nc, jsm, stream, subject, after = 0, follow, until, signal } = options;
  if (signal.aborted) return;
  let seen = after;
  let last = follow ? Number.POSITIVE_INFINITY : await lastSequence(jsm, stream, subject);
  let messages: ConsumerMessages | undefined;
  const stop = () => messages?.stop();
  const stopAtEnd = () => {
    if (signal.aborted || seen >= last) stop();
  };
  signal.addEventListener('abort', stop);
  const ending = until?.then(async () => {
    last = await lastSequence(jsm, stream, subject);
    stopAtEnd();
  });
  ending?.catch(() => {
    last = 0; // told below
    stop();
  });
  try {
    while (seen < last && !signal.aborted) {
      messages = await orderedMessages({ nc, stream, subject, after: seen });
      stopAtEnd();
      for await (const message of messages) {
        yield message;
        seen = message.seq;
        if (seen >= last) break;
      }
    }
    if (!signal.aborted) await ending;
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Of the newest message of a subject; 0 when there is none. */
async function lastSequence(jsm: JetStreamManager, stream: string, subject: string): Promise<number> {
  try {
    const message = await jsm.streams.getMessage(stream, { last_by_subj: subject });
    return message?.seq ?? 0;
  } catch (error) {
    throw streamError(stream, error);
  }
}
