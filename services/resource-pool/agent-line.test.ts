import type { NatsConnection } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import { decodeHeaders } from '../../libs/protocol/envelope.ts';
import { isSigned, SIGNATURE, signingKeyOf } from '../../libs/protocol/signature.ts';
import { newKeyPair } from '../../libs/protocol/token.ts';
import type { Assignment } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { AgentLine } from './agent-line.ts';

const assignment = (task: string): Assignment => ({
  ...{ task, attempt: 1, agent: 'code/x', instance: 'i', cancel: false, epoch: '1', spec: undefined },
  ...{ traceparent: '', correlationId: 'c', hops: 0 },
});

test('what the client does not send fails for each assignment, and for nobody else', async () => {
  const nc = {
    isClosed: () => false,
    subscribe: () => ({}),
    publish: () => {
      throw new Error('more than the bus carries');
    },
  } as unknown as NatsConnection;
  const line = new AgentLine(nc, 'main', systemClock);
  const sent = ['a', 'b'].map((task) => line.send(assignment(task), task, 60_000, () => false));
  const outcomes = await Promise.allSettled(sent);
  expect(outcomes.map((outcome) => outcome.status === 'rejected' && String(outcome.reason))).toEqual([
    ...['Error: more than the bus carries', 'Error: more than the bus carries'],
  ]);
});

test('a message is signed when something of it may begin at once', async () => {
  const key = newKeyPair();
  const signed: boolean[] = [];
  const nc = {
    isClosed: () => false,
    subscribe: () => ({}),
    publish: (subject: string, body: Uint8Array, { headers }: { headers: { encode(): Uint8Array } }) => {
      const signature = decodeHeaders(headers.encode()).get(SIGNATURE);
      signed.push(signature !== undefined && isSigned(signingKeyOf(key.publicKey), subject, body, signature));
    },
  } as unknown as NatsConnection;
  const line = new AgentLine(nc, 'main', systemClock, key);
  const sent = [line.send(assignment('a'), 'a', 1, () => false)];
  await Promise.all(sent);
  for (const atOnce of [true, false]) sent.push(line.send({ ...assignment('b'), atOnce }, 'b', 1, () => false));
  await Promise.all(sent);
  expect(signed).toEqual([false, true]);
});
