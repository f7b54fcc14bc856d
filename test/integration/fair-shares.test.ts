import type { NatsConnection } from '@nats-io/nats-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Principal } from '../../libs/protocol/principal.ts';
import type { Api } from '../../libs/rpc/api.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse, RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';

/** One client asks for far more than a server works on at once; another one, who asks for little, is served. */

type Registry = Api<RegistryServiceService>;

const LONG_MS = 120_000;

let server: NatsServer;
let serverSide: NatsConnection;
let clientSide: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  serverSide = await connectBus({ servers: server.url, name: 'server' });
  clientSide = await connectBus({ servers: server.url, name: 'client', jetStream: false });
});
afterAll(async () => {
  await serverSide?.close();
  await clientSide?.close();
  await server?.stop();
});

const callers = new Map<string, Principal>();

/** A token is here the name of who has it. */
function authenticate(token: string): Principal {
  const known = callers.get(token);
  const principal: Principal = known ?? { kind: 'swarm', swarm: token, key: token };
  callers.set(token, principal);
  return principal;
}

/** Calls wait until all are released, but those for `at-once`. */
function waitingRegistry() {
  let isOpen = false;
  const waiting: (() => void)[] = [];
  const api: Partial<Registry> = {
    getSwarm: async ({ name }) => {
      if (name !== 'at-once' && !isOpen) await new Promise<void>((resolve) => waiting.push(resolve));
      return GetSwarmResponse.fromJSON({ swarm: { name } });
    },
  };
  const release = () => {
    isOpen = true;
    for (const each of waiting) each();
  };
  return { waiting, release, bindings: [bind('registry', RegistryServiceService, () => api as Registry)] };
}

type Ask = (name: string) => Promise<unknown>;

interface Flood {
  readonly calls: number;
  /** Of the server, in all. */
  readonly places: number;
  readonly waiting: readonly unknown[];
  release(): void;
  readonly greedy: Ask;
  readonly polite: Ask;
}

async function flooded({ calls, places, waiting, release, greedy, polite }: Flood): Promise<void> {
  const told: unknown[] = [];
  const flood = Array.from({ length: calls }, () => greedy('wait').catch((error: unknown) => told.push(error)));
  // He is told while the others wait: nothing is released yet.
  await until(() => told.length >= calls / 2, LONG_MS);
  for (let i = 0; i < 100; i++) expect(await polite('at-once')).toMatchObject({ swarm: { name: 'at-once' } });
  expect(waiting.length).toBeGreaterThan(1024);
  expect(waiting.length).toBeLessThan(places);
  release();
  await Promise.all(flood);
  expect(told.length).toBeLessThan(calls - 1024);
  for (const error of told) {
    expect(error).toBeInstanceOf(HiveError);
    expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, retryAfterMs: 20 });
  }
}

test('over the bus', async () => {
  const { waiting, release, bindings } = waitingRegistry();
  await using _ = await serveBus({ nc: serverSide, bindings, authenticate, version: '1.0.0' });
  const ask = (token: string): Ask => {
    const options = { federation: 'main', token: () => token };
    const client = createBusClient(clientSide, 'registry', RegistryServiceService, options);
    return (name) => client.getSwarm({ name }, { timeoutMs: LONG_MS });
  };
  await flooded({ calls: 12_000, places: 6144, waiting, release, greedy: ask('greedy'), polite: ask('polite') });
}, 180_000);

test('over gRPC', async () => {
  const { waiting, release, bindings } = waitingRegistry();
  await using grpc = await serveGrpc({ bindings, authenticate, port: 0 });
  await using greedy = createGrpcClient(grpc.address, RegistryServiceService, { token: () => 'greedy' });
  await using polite = createGrpcClient(grpc.address, RegistryServiceService, { token: () => 'polite' });
  await flooded({
    ...{ calls: 6000, places: 4096, waiting, release },
    greedy: (name) => greedy.getSwarm({ name }, { timeoutMs: LONG_MS }),
    polite: (name) => polite.getSwarm({ name }, { timeoutMs: LONG_MS }),
  });
}, 180_000);
