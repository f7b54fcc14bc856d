import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { busClient, clientSide, openBus, serveOnBus, watchAnswer } from './rpc-harness.ts';

/** Streams of answers over the bus. */

openBus();

test('a stream brings every item in order, however many, and ends', async () => {
  await using _ = await serveOnBus({
    async *watchSwarms() {
      for (let i = 1; i <= 1000; i++) yield watchAnswer(i);
    },
  });
  const got: string[] = [];
  for await (const { revision } of busClient().watchSwarms({})) got.push(revision);
  expect(got).toEqual(Array.from({ length: 1000 }, (_, i) => String(i + 1)));
});

test('a slow consumer holds the stream back', async () => {
  let made = 0;
  await using _ = await serveOnBus({
    async *watchSwarms() {
      for (; made < 10_000; made++) yield watchAnswer(made);
    },
  });
  const stream = busClient().watchSwarms({})[Symbol.asyncIterator]();
  await stream.next();
  await until(() => made >= 63);
  await clientSide.flush();
  for (let i = 1; i < 64; i++) await stream.next();
  expect(made).toBeLessThanOrEqual(64);
  await stream.next();
  await until(() => made > 64);
  await stream.return?.();
});

test('a consumer that leaves ends the stream on the server', async () => {
  let ended: unknown;
  await using _ = await serveOnBus({
    async *watchSwarms(_, { signal }) {
      signal.addEventListener('abort', () => {
        ended = signal.reason.message;
      });
      for (let i = 0; ; i++) yield watchAnswer(i);
    },
  });
  for await (const { revision } of busClient().watchSwarms({})) if (revision === '10') break;
  expect(await until(() => ended)).toBe('the client is gone');
});

test('a stream ends with its typed error, and with the deadline', async () => {
  await using _ = await serveOnBus({
    async *watchSwarms({ fromRevision }) {
      yield watchAnswer(1);
      if (fromRevision === '1') throw new HiveError('OUT_OF_RANGE', 'too old', { reason: 'COMPACTED' });
      await new Promise(() => {});
    },
  });
  const all = async (from: string, timeoutMs?: number) => {
    for await (const _ of busClient().watchSwarms({ fromRevision: from }, timeoutMs ? { timeoutMs } : {}));
  };
  expect(await refused(all('1'))).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
  expect(await refused(all('2', 100))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('a stopping server ends its streams with a retryable error', async () => {
  const running = await serveOnBus({
    async *watchSwarms() {
      yield watchAnswer(1);
      await new Promise(() => {});
    },
  });
  const stream = busClient().watchSwarms({})[Symbol.asyncIterator]();
  await stream.next();
  const next = stream.next();
  await running.stop();
  expect(await refused(next)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
});

test('a server that is not on the bus yet is waited for by streams too', async () => {
  const stream = busClient({ patienceMs: 20_000 }).watchSwarms({})[Symbol.asyncIterator]();
  const first = stream.next();
  await using _ = await serveOnBus({
    async *watchSwarms() {
      yield watchAnswer(5);
    },
  });
  expect((await first).value).toMatchObject({ revision: '5' });
  await stream.return?.();
});
