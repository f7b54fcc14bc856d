import type { NatsConnection } from '@nats-io/nats-core';
import { afterAll, beforeAll } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { headerBytes } from '../../libs/bus/message.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { notFound } from '../../libs/kernel/errors.ts';
import { decodeHeaders, encodeHeaders } from '../../libs/protocol/envelope.ts';
import { newKeyPair, tokenSource } from '../../libs/protocol/token.ts';
import type { Api, Client } from '../../libs/rpc/api.ts';
import { createAuthenticator } from '../../libs/rpc/authenticate.ts';
import { type Binding, bind } from '../../libs/rpc/binding.ts';
import { type BusClientOptions, createBusClient } from '../../libs/rpc/bus-client.ts';
import { type BusServer, type BusServerOptions, serveBus } from '../../libs/rpc/bus-server.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import type { GrpcClientOptions } from '../../libs/rpc/grpc-peer.ts';
import { type GrpcServer, type GrpcServerOptions, serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { RegistryServiceService, WatchSwarmsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';

/**
 * What tests of the two transports share: the registry's contract with methods that a test makes up, a caller who is known,
 * and for the bus a nats-server with a connection for either side.
 */

/** Methods that are not given are UNIMPLEMENTED. */
export type Methods = Partial<Api<RegistryServiceService>>;

/** The registry made of these methods, in the federation `main`; there is no other. */
const registryOf = (methods: Methods): Binding[] => [
  bind('registry', RegistryServiceService, (federation) => {
    if (federation !== 'main') throw notFound('federation', federation);
    return methods as Api<RegistryServiceService>;
  }),
];

const ada = newKeyPair();
/** Knows the operator ada; who brings no token is nobody. */
const authenticate = createAuthenticator(
  {
    operatorKey: (kid) => (kid === ada.kid ? { name: 'ada', publicKey: ada.publicKey } : undefined),
    swarmKey: () => undefined,
  },
  systemClock,
);
const token = tokenSource(ada, { kind: 'operator', name: 'ada' }, 'main', systemClock.now);

export const watchAnswer = (revision: number) => WatchSwarmsResponse.fromJSON({ revision: String(revision) });

/** Set by `openBus`. */
export let server: NatsServer;
export let serverSide: NatsConnection;
export let clientSide: NatsConnection;

/** Once for each test file. */
export function openBus(): void {
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
}

export const serveOnBus = (methods: Methods, options: Partial<BusServerOptions> = {}): Promise<BusServer> =>
  serveBus({ nc: serverSide, bindings: registryOf(methods), authenticate, version: '1.2.3', ...options });

/** Calls as ada, unless told otherwise. */
export const busClient = (options: Partial<BusClientOptions> = {}): Client<RegistryServiceService> =>
  createBusClient(clientSide, 'registry', RegistryServiceService, { federation: 'main', token, ...options });

/** A request by hand, as from the command line, on `openBus`'s client side. */
export async function ask(method: string, payload: string, headers: Record<string, string> = {}, federation = 'main') {
  const subject = `hive.${federation}.rpc.registry.${method}`;
  const answer = await clientSide.request(subject, payload, {
    timeout: 20_000,
    headers: rawHeaders(encodeHeaders(headers)),
  });
  return { json: answer.json<Record<string, unknown>>(), headers: decodeHeaders(headerBytes(answer), true) };
}

export const serveOnGrpc = (methods: Methods, options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> =>
  serveGrpc({ bindings: registryOf(methods), authenticate, port: 0, ...options });

/** Calls as ada, unless told otherwise. */
export const grpcClient = (server: { readonly address: string }, options: GrpcClientOptions = {}) =>
  createGrpcClient(server.address, RegistryServiceService, { token, ...options });
