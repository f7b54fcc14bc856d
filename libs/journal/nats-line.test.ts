import { MessageChannel } from 'node:worker_threads';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { until } from '../testkit/until.ts';
import { natsLine } from './nats-line.ts';

/** So long, in milliseconds, this thread does nothing else after it has asked: longer than it waits for an answer. */
const BUSY_MS = 5;

/** A connection on which every request is answered, by an event of the same loop that reads sockets. */
function answering() {
  const { port1, port2 } = new MessageChannel();
  const statuses: ((type: string) => void)[] = [];
  let answer: (message: Msg) => void = () => {};
  port1.on('message', (subject: string) => answer({ subject, data: new Uint8Array(2) } as Msg));
  const nc = {
    isClosed: () => false,
    subscribe: (_: string, { callback }: { callback: (error: null, message: Msg) => void }) => {
      answer = (message) => callback(null, message);
    },
    publish(_: string, __: unknown, { reply }: { reply: string }) {
      port2.postMessage(reply);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_MS);
    },
    async *status() {
      for (;;) yield { type: await new Promise<string>((resolve) => statuses.push(resolve)) };
    },
  };
  const tell = async (type: string) => {
    await until(() => statuses.length > 0);
    statuses.shift()?.(type);
    await until(() => statuses.length > 0);
  };
  return { nc: nc as unknown as NatsConnection, tell, close: () => port1.close() };
}

test('an answer that came while this process was busy is read before it is missed', async () => {
  const { nc, close } = answering();
  expect(await natsLine(nc, 'leader').probe(1, 1)).toBe('alive');
  close();
});

test('who has lost the connection, or has just found it again, says nothing of others', async () => {
  const { nc, tell, close } = answering();
  const line = natsLine(nc, 'leader');
  await tell('disconnect');
  expect(await line.probe(1, 1)).toBe('deaf');
  await tell('reconnect');
  close(); // no answers from now on
  expect(await line.probe(1, 1)).toBe('deaf');
});
