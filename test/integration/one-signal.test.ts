import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Api } from '../../libs/rpc/api.ts';
import { createAuthenticator } from '../../libs/rpc/authenticate.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse, RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';

const CALLS = 30;
const authenticate = createAuthenticator({ operatorKey: () => undefined, swarmKey: () => undefined }, systemClock);

test('many calls and streams share a signal: it has one listener, and none when they are over', async () => {
  await using nats = await startNatsServer();
  const nc = await connectBus({ servers: nats.url, name: 'one-signal' });
  await using _ = { [Symbol.asyncDispose]: () => nc.close() };
  let asked = 0;
  let answer = () => {};
  const free = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const api = {
    getSwarm: async () => {
      asked++;
      await free;
      return GetSwarmResponse.fromJSON({ revision: '1' });
    },
    watchSwarms: async function* (_, { signal }) {
      asked++;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
  } satisfies Partial<Api<RegistryServiceService>>;
  const bindings = [bind('registry', RegistryServiceService, () => api as unknown as Api<RegistryServiceService>)];
  await using _bus = await serveBus({ nc, bindings, authenticate, version: '1.0.0' });
  await using grpc = await serveGrpc({ bindings, authenticate, port: 0 });
  const overBus = createBusClient(nc, 'registry', RegistryServiceService, { federation: 'main' });
  await using overGrpc = createGrpcClient(grpc.address, RegistryServiceService);

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
