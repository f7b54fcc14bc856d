import type { Msg, NatsConnection } from '@nats-io/nats-core';
import type { Clock } from '../kernel/clock.ts';
import { isNoResponders } from './message.ts';
import { rawHeaders } from './raw-headers.ts';
import { ReplyBox } from './reply-box.ts';

/** What became of a request: an answer, that nobody listens, or that nothing came in time or can come. */
export type Heard = Msg | 'nobody' | 'silence';

export interface Question {
  readonly subject: string;
  readonly body: Uint8Array;
  /** As NATS has them on the wire. */
  readonly headers?: Uint8Array | undefined;
  readonly timeoutMs: number;
}

/**
 * Asks, and tells once what was heard. The client's own `request` makes an error with its stack for each question.
 * Gives how to stop listening, which is told as silence. Throws, and tells nothing, when the client does not send it: it is
 * more than the bus carries, or the connection is about to close.
 */
export function request(
  nc: NatsConnection,
  clock: Clock,
  { subject, body, headers, timeoutMs }: Question,
  told: (heard: Heard) => void,
): () => void {
  const box = ReplyBox.of(nc);
  let isOver = false;
  const stop = () => {
    isOver = true;
    box.close(reply);
    timer[Symbol.dispose]();
  };
  const end = (heard: Heard) => {
    if (isOver) return;
    stop();
    told(heard);
  };
  const reply = box.open((message) => end(isNoResponders(message) ? 'nobody' : message));
  const giveUp = () => end('silence');
  // Where this process itself was kept waiting, time is up before an answer that is there was read.
  const timer = clock.after(timeoutMs, () => clock.defer(giveUp));
  try {
    if (nc.isClosed()) queueMicrotask(giveUp);
    else nc.publish(subject, body, headers ? { reply, headers: rawHeaders(headers) } : { reply });
  } catch (error) {
    stop();
    throw error;
  }
  return giveUp;
}
