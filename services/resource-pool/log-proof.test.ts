import type { JsMsg } from '@nats-io/jetstream';
import { expect, test } from 'vitest';
import { SIGNATURE, signatureOf } from '../../libs/protocol/signature.ts';
import { newKeyPair } from '../../libs/protocol/token.ts';
import type { LogLine } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { LogProof } from './log-proof.ts';

const key = newKeyPair();
const other = newKeyPair();
const body = Buffer.from('lines');

const message = (signature?: string): JsMsg =>
  ({
    subject: 'log.t',
    data: body,
    headers: { get: (name: string) => (name === SIGNATURE ? (signature ?? '') : '') },
  }) as unknown as JsMsg;
const of = (...attempts: number[]): LogLine[] => attempts.map((attempt) => ({ attempt }) as LogLine);

test('lines hold when their attempt’s key has signed them, or when its agent has told none', async () => {
  const proof = new LogProof(
    async () =>
      new Map([
        [1, key.publicKey],
        [2, ''],
      ]),
  );
  expect(await proof.holds(message(signatureOf(key, 'log.t', body)), of(1, 1))).toBe(true);
  expect(await proof.holds(message(signatureOf(other, 'log.t', body)), of(1))).toBe(false);
  expect(await proof.holds(message(signatureOf(key, 'log.u', body)), of(1))).toBe(false);
  expect(await proof.holds(message('nonsense'), of(1))).toBe(false);
  expect(await proof.holds(message(), of(1))).toBe(false);
  expect(await proof.holds(message(), of(2))).toBe(true);
  expect(await proof.holds(message(), of(2, 3))).toBe(false);
});

test('of an attempt that is not known the leader is asked, but not without end', async () => {
  let asked = 0;
  const known = new Map<number, string>();
  const proof = new LogProof(async () => {
    asked++;
    return known;
  });
  expect(await proof.holds(message(), of(1))).toBe(false);
  known.set(1, '');
  expect(await proof.holds(message(), of(1))).toBe(true);
  for (let forged = 2; forged < 1000; forged++) expect(await proof.holds(message(), of(forged))).toBe(false);
  expect(asked).toBe(200);
});
