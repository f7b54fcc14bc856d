import type { MsgHdrs, NatsConnection } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { isSigned, SIGNATURE, signingKeyOf } from '../protocol/signature.ts';
import { newKeyPair } from '../protocol/token.ts';
import { until } from '../testkit/until.ts';
import type { LogLine } from '../wire/hivebus/pool/v1/pool.ts';
import { LogSender } from './log-sender.ts';

const line = (number: number, text = 'x'): LogLine => ({
  ...{ task: 't', attempt: 1, stream: 'LOG_STREAM_STDOUT', text, number, at: '2026-01-01T00:00:00.000Z' },
});

/** What is published on a subject, as it goes over the wire. */
function fixture(known?: () => Promise<void>) {
  const sent: { body: Buffer; header: string }[] = [];
  const nc = {
    isClosed: () => false,
    publish: (_: string, body: Buffer, { headers }: { headers: MsgHdrs & { encode(): Uint8Array } }) =>
      sent.push({ body, header: Buffer.from(headers.encode()).toString() }),
  };
  const key = newKeyPair();
  return { sent, key, sender: new LogSender(nc as unknown as NatsConnection, 'log.t', key, known) };
}

/** The same, of an attempt that the pool does not know yet. */
function waiting() {
  let known = () => {};
  const promise = new Promise<void>((resolve) => (known = resolve));
  return { ...fixture(() => promise), known };
}

test('lines of one tick go in one message, a line of JSON each, signed for their subject', async () => {
  const { sent, key, sender } = fixture();
  sender.send(line(1));
  sender.send(line(2));
  await Promise.resolve();
  sender.send(line(3));
  await Promise.resolve();
  expect(sent.map(({ body }) => String(body).split('\n').length)).toEqual([2, 1]);
  expect(JSON.parse(String(sent[1]?.body))).toEqual(line(3));
  const { body, header } = sent[0] as (typeof sent)[0];
  const signature = new RegExp(`${SIGNATURE}: (\\S+)`).exec(header)?.[1] ?? '';
  const proven = (subject: string, of: Buffer, pair = key) =>
    isSigned(signingKeyOf(pair.publicKey), subject, of, signature);
  expect(proven('log.t', body)).toBe(true);
  expect(proven('log.u', body)).toBe(false);
  expect(proven('log.t', Buffer.from(`${body} `))).toBe(false);
  expect(proven('log.t', body, newKeyPair())).toBe(false);
});

test('a message has a bound', () => {
  const { sent, sender } = fixture();
  for (let i = 1; i <= 100; i++) sender.send(line(i, 'x'.repeat(8000)));
  expect(sent.length).toBeGreaterThan(1);
  for (const { body } of sent) expect(body.length).toBeLessThan(300_000);
});

test('what waits for the pool has a bound: the last lines stay', async () => {
  const { sent, known, sender } = waiting();
  for (let i = 1; i <= 3000; i++) sender.send(line(i, 'x'.repeat(8000)));
  expect(sent).toEqual([]);
  known();
  await until(() => sent.length > 0);
  const numbers = sent.flatMap(({ body }) => String(body).split('\n')).map((text) => JSON.parse(text).number);
  const [first = 0] = numbers;
  expect(first).toBeGreaterThan(1900);
  expect(numbers).toEqual(Array.from({ length: 3001 - first }, (_, i) => first + i));
});
