import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Principal } from '../../libs/protocol/principal.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { busClient, grpcClient, type Methods, openBus, serveOnBus, serveOnGrpc } from './rpc-harness.ts';

/** One client asks for far more than a server works on at once; another one, who asks for little, is served. */

const LONG_MS = 120_000;

openBus();

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
  const methods: Methods = {
    getSwarm: async ({ name }) => {
      if (name !== 'at-once' && !isOpen) await new Promise<void>((resolve) => waiting.push(resolve));
      return GetSwarmResponse.fromJSON({ swarm: { name } });
    },
  };
  const release = () => {
    isOpen = true;
    for (const each of waiting) each();
  };
  return { waiting, release, methods };
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
  const { waiting, release, methods } = waitingRegistry();
  await using _ = await serveOnBus(methods, { authenticate });
  const ask = (token: string): Ask => {
    const client = busClient({ token: () => token });
    return (name) => client.getSwarm({ name }, { timeoutMs: LONG_MS });
  };
  await flooded({ calls: 12_000, places: 6144, waiting, release, greedy: ask('greedy'), polite: ask('polite') });
}, 180_000);

test('over gRPC', async () => {
  const { waiting, release, methods } = waitingRegistry();
  await using grpc = await serveOnGrpc(methods, { authenticate });
  await using greedy = grpcClient(grpc, { token: () => 'greedy' });
  await using polite = grpcClient(grpc, { token: () => 'polite' });
  await flooded({
    ...{ calls: 6000, places: 4096, waiting, release },
    greedy: (name) => greedy.getSwarm({ name }, { timeoutMs: LONG_MS }),
    polite: (name) => polite.getSwarm({ name }, { timeoutMs: LONG_MS }),
  });
}, 180_000);
