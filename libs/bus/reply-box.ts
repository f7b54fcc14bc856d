import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { createInbox } from '@nats-io/nats-core';

export type OnReply = (message: Msg) => void;

/** Who waits for an answer; nobody once it was closed, since the map's old tables go on referring to it (see SlotSet). */
interface Ear {
  onReply: OnReply | undefined;
}

/**
 * The answers to all requests of one connection, by one subscription. The client's own `request` makes two promises, a
 * timer and an error for each; this makes a map entry, and an answer that comes late still finds its call.
 */
export class ReplyBox {
  readonly #nc: NatsConnection;
  readonly #prefix = `${createInbox()}.`;
  readonly #waiting = new Map<string, Ear>();
  #subscription: Subscription | undefined;
  #count = 0;

  private constructor(nc: NatsConnection) {
    this.#nc = nc;
  }

  static of(nc: NatsConnection): ReplyBox {
    let box = boxes.get(nc);
    if (!box) {
      box = new ReplyBox(nc);
      boxes.set(nc, box);
    }
    return box;
  }

  /** A subject for answers that nobody listens to yet. */
  subject(): string {
    return this.#prefix + (++this.#count).toString(36);
  }

  /** Listens to a subject for answers, and gives it; `close` it when none is wanted any more. */
  open(onReply: OnReply, subject = this.subject()): string {
    this.#subscription ??= this.#nc.subscribe(`${this.#prefix}*`, {
      callback: (error, message) => {
        if (error)
          this.#subscription = undefined; // not permitted: the next call finds out whether it still is not
        else this.#waiting.get(message.subject)?.onReply?.(message);
      },
    });
    this.#waiting.set(subject, { onReply });
    return subject;
  }

  close(subject: string): void {
    const ear = this.#waiting.get(subject);
    if (!ear) return;
    ear.onReply = undefined;
    this.#waiting.delete(subject);
  }
}

const boxes = new WeakMap<NatsConnection, ReplyBox>();
