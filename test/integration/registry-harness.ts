import type { NatsConnection } from '@nats-io/nats-core';
import { connectBus } from '../../libs/bus/connect.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { encodeHeaders } from '../../libs/protocol/envelope.ts';
import { type KeyPair, newKeyPair, type Subject, signToken } from '../../libs/protocol/token.ts';
import type { Client } from '../../libs/rpc/api.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { createRegistry, type Registry, type RegistryConfig } from '../../services/registry/service.ts';

export type RegistryClient = Client<typeof RegistryServiceService>;

/** Swarms that beat every 20 ms, so that nobody waits for seconds. */
export const FAST: RegistryConfig = {
  phi: { expectedIntervalMs: 20, minStdDeviationMs: 20, acceptablePauseMs: 300 },
  sampleMs: 20,
};

export interface Replica extends AsyncDisposable {
  readonly registry: Registry;
  readonly grpc: string;
}

/** One bus, any number of replicas of the registry, and clients that are whoever the test says. */
export interface Harness extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly nc: NatsConnection;
  readonly keys: Map<string, KeyPair>;
  start(config?: RegistryConfig): Promise<Replica>;
  tokenOf(who: string, options?: { federation?: string; key?: string; nowMs?: number }): string;
  /** A client over the bus: `operator:ada`, `swarm:code`, `agent:code/a1`; empty = nobody. */
  as(who: string, options?: { federation?: string; key?: string }): RegistryClient;
  publish(subject: string, body: unknown, who?: string): void;
  request(subject: string, body: string, who?: string): Promise<{ body: unknown; code: string }>;
}

export async function startHarness(): Promise<Harness> {
  const nats = await startNatsServer();
  const nc = await connectBus({ servers: nats.url, name: 'test' });
  const keys = new Map<string, KeyPair>();
  const open = new Set<AsyncDisposable>();

  const keyOf = (owner: string): KeyPair => {
    const key = keys.get(owner) ?? newKeyPair();
    keys.set(owner, key);
    return key;
  };
  const tokenOf: Harness['tokenOf'] = (who, { federation = 'main', key, nowMs = Date.now() } = {}) =>
    signToken(keyOf(key ?? ownerOf(who)), { subject: subjectOf(who), federation, nowMs });
  const headersOf = (who: string) =>
    rawHeaders(encodeHeaders(who === '' ? {} : { authorization: `Bearer ${tokenOf(who)}` }));
  const ada = keyOf('operator:ada');

  return {
    nats,
    nc,
    keys,
    tokenOf,
    async start(config = FAST) {
      const replica = await startReplica(nats.url, config, (kid) =>
        kid === ada.kid ? { name: 'ada', publicKey: ada.publicKey } : undefined,
      );
      open.add(replica);
      return replica;
    },
    as(who, options = {}) {
      const { federation = 'main' } = options;
      const token = () => (who === '' ? '' : tokenOf(who, options));
      return createBusClient(nc, 'registry', RegistryServiceService, { federation, token });
    },
    publish(subject, body, who = '') {
      nc.publish(subject, Buffer.from(JSON.stringify(body)), { headers: headersOf(who) });
    },
    async request(subject, body, who = '') {
      const answer = await nc.request(subject, Buffer.from(body), { headers: headersOf(who), timeout: 20_000 });
      return { body: answer.json(), code: answer.headers?.get('Nats-Service-Error-Code') ?? '' };
    },
    async [Symbol.asyncDispose]() {
      for (const replica of open) await replica[Symbol.asyncDispose]();
      await nc.close();
      await nats.stop();
    },
  };
}

async function startReplica(
  servers: string,
  config: RegistryConfig,
  operatorKey: (kid: string) => { name: string; publicKey: string } | undefined,
): Promise<Replica> {
  const nc = await connectBus({ servers, name: 'registry' });
  const announcer = await connectBus({ servers, name: 'registry announcements' });
  const registry = createRegistry(config, { nc, announcer, operatorKey });
  await registry.ready();
  const { binding, authenticate } = registry;
  const bus = await serveBus({ nc, bindings: [binding], authenticate, version: '0.0.0' });
  const grpc = await serveGrpc({ bindings: [binding], authenticate, port: 0 });
  let closed = false;
  return {
    registry,
    grpc: grpc.address,
    async [Symbol.asyncDispose]() {
      if (closed) return;
      closed = true;
      await Promise.all([bus.stop(), grpc.stop()]);
      await registry[Symbol.asyncDispose]();
      await Promise.all([nc.close(), announcer.close()]);
    },
  };
}

function subjectOf(who: string): Subject {
  const [kind, rest = ''] = who.split(':', 2);
  const [first = '', second = ''] = rest.split('/', 2);
  if (kind === 'operator') return { kind, name: first };
  return kind === 'agent' ? { kind, swarm: first, name: second } : { kind: 'swarm', swarm: first };
}

const ownerOf = (who: string): string => who.replace(/^agent:([^/]*).*/, 'swarm:$1');
