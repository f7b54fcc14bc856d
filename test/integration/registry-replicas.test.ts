import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { until } from '../../libs/testkit/until.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type Harness, type Replica, startHarness } from './registry-harness.ts';

let hive: Harness;
let replicas: Replica[];

beforeAll(async () => {
  hive = await startHarness();
  replicas = [await hive.start(), await hive.start()];
});

afterAll(() => hive[Symbol.asyncDispose]());

/** A client of one replica, as a swarm. */
const of = (replica: Replica | undefined, swarm: string) =>
  createGrpcClient(replica?.grpc ?? '', RegistryServiceService, {
    federation: 'main',
    token: () => hive.tokenOf(`swarm:${swarm}`),
  });

test('whatever replica is asked, it forwards writes, knows its own, and reads what was written when told the revision', async () => {
  for (let i = 0; i < 20; i++) {
    const name = `s${i}`;
    const [write, read] = [of(replicas[i % 2], name), of(replicas[(i + 1) % 2], name)];
    const { revision, created } = await write.registerSwarm({ name, project: 'p' });
    expect(created).toBe(true);
    expect((await read.heartbeat({ swarm: name })).intervalMs).toBeGreaterThan(0);
    expect((await read.getSwarm({ name, minRevision: revision })).swarm?.project).toBe('p');
    await write.registerSwarm({ name, project: 'q' });
    expect((await read.getSwarm({ name, linearizable: true })).swarm?.project).toBe('q');
  }
});

test('a federation made through one replica is served by the other', async () => {
  await hive.as('operator:ada').initFederation({ name: 'lab' });
  for (const replica of replicas) {
    const client = createGrpcClient(replica.grpc, RegistryServiceService, { federation: 'lab' });
    await until(() => client.getFederation({}).catch(() => undefined));
  }
});

test('a watch on either replica sees every change', async () => {
  const names = Array.from({ length: 30 }, (_, i) => `w${i}`);
  const from = (await hive.as('').listSwarms({ linearizable: true })).revision;
  const seen = replicas.map(() => new Set<string>());
  const end = new AbortController();
  const watching = replicas.map(async (replica, i) => {
    const items = of(replica, 'w0').watchSwarms({ fromRevision: from }, { signal: end.signal });
    for await (const { changed } of items) for (const { name } of changed) seen[i]?.add(name);
  });
  for (const name of names) await of(replicas[0], name).registerSwarm({ name });
  await until(() => seen.every((one) => names.every((name) => one.has(name))));
  end.abort();
  await Promise.allSettled(watching);
});
