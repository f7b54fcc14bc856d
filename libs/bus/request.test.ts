import type { Msg, NatsConnection, SubscriptionOptions } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import { type Heard, request } from './request.ts';

const NOBODY = { headers: 'NATS/1.0 503\r\n\r\n', data: new Uint8Array() };

/** A question on a bus and a clock that the test moves. */
class Stage {
  readonly heard: Heard[] = [];
  /** Time is up. */
  timeIsUp: () => void = () => {};
  /** What was ready has been read. */
  isRead: () => void = () => {};
  #take: SubscriptionOptions['callback'];
  #reply = '';

  constructor() {
    const clock: Clock = {
      now: () => 0,
      monotonic: () => 0,
      after: (_, run) => {
        this.timeIsUp = run;
        return { [Symbol.dispose]: () => {} };
      },
      defer: (run) => {
        this.isRead = run;
      },
    };
    const nc = {
      isClosed: () => false,
      subscribe: (_: string, { callback }: SubscriptionOptions) => {
        this.#take = callback;
      },
      publish: (_: string, __: unknown, { reply }: { reply: string }) => {
        this.#reply = reply;
      },
    } as unknown as NatsConnection;
    const question = { subject: 'x', body: new Uint8Array(), timeoutMs: 500 };
    request(nc, clock, question, (heard) => this.heard.push(heard));
  }

  answer(message: object): void {
    this.#take?.(null, { subject: this.#reply, ...message } as unknown as Msg);
  }
}

test('an answer that was there when time was up counts', () => {
  const stage = new Stage();
  stage.timeIsUp();
  stage.answer(NOBODY);
  stage.isRead();
  expect(stage.heard).toEqual(['nobody']);
});

test('who has not answered when all was read is silent, and what comes later is not heard', () => {
  const stage = new Stage();
  stage.timeIsUp();
  expect(stage.heard).toEqual([]);
  stage.isRead();
  stage.answer(NOBODY);
  expect(stage.heard).toEqual(['silence']);
});
