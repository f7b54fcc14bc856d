import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { busClient, grpcClient, type Methods, openBus, serveOnBus, serveOnGrpc } from './rpc-harness.ts';

openBus();

const CALLS = 30;

test('many calls and streams share a signal: it has one listener, and none when they are over', async () => {
  let asked = 0;
  let answer = () => {};
  const free = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const methods: Methods = {
    getSwarm: async () => {
      asked++;
      await free;
      return GetSwarmResponse.fromJSON({ revision: '1' });
    },
    watchSwarms: async function* (_, { signal }) {
      asked++;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  };
  await using _bus = await serveOnBus(methods);
  await using grpc = await serveOnGrpc(methods);
  const overBus = busClient();
  await using overGrpc = grpcClient(grpc);

  const abort = new AbortController();
  const { signal } = abort;
  const calls = [overBus, overGrpc].flatMap((client) =>
    Array.from({ length: CALLS }, () => client.getSwarm({ name: 'a' }, { signal, timeoutMs: 60_000 })),
  );
  const streams = [overBus, overGrpc].flatMap((client) =>
    Array.from({ length: CALLS }, () => client.watchSwarms({}, { signal })[Symbol.asyncIterator]().next()),
  );
  const refused = Promise.allSettled(streams);
  await until(() => asked >= 4 * CALLS);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  answer();
  await Promise.all(calls);
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  abort.abort();
  for (const each of await refused) {
    expect(each.status === 'rejected' && HiveError.from(each.reason).code).toBe('CANCELLED');
  }
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
});
