import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { journalStream } from '../../libs/protocol/subjects.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { currentNats } from '../../libs/testkit/current-nats.ts';
import { type NatsCluster, startNatsCluster } from '../../libs/testkit/nats-cluster.ts';
import { ResourcePoolServiceService, type Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { RegistryServiceService, type Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { Playground, type Started } from '../e2e/hivebus.ts';
import { Replicas } from '../e2e/replicas.ts';
import { Clients } from './clients.ts';
import { PATIENCE_MS } from './load.ts';

/**
 * Registry and pool as processes, two replicas each, on three real servers: the server that leads the pool's journal and
 * the replica that leads the pool are killed, alone and together. Every accepted task and swarm is there exactly once,
 * the replicas agree, clients see nothing but errors that may pass, and it goes on.
 */

const SERVICES = ['registry', 'pool'] as const;
const PAGE = 1000;
const found = currentNats();
const binary = 'path' in found ? found.path : '';

let cluster: NatsCluster;
let playground: Playground;
let replicas: Replicas;
let clients: Clients;

async function begin(): Promise<void> {
  playground = new Playground();
  cluster = await startNatsCluster({ binary });
  let next = 0;
  const env = () => {
    const first = next++ % cluster.urls.length; // each prefers another server
    const urls = [...cluster.urls.slice(first), ...cluster.urls.slice(0, first)];
    return { HIVEBUS_NATS: urls.join(','), HIVEBUS_REPLICAS: '3', HIVEBUS_GRPC_PORT: '0' };
  };
  replicas = new Replicas(playground, env, PATIENCE_MS);
  for (const name of [...SERVICES, ...SERVICES]) replicas.start(name);
  await replicas.serving();
  clients = await Clients.start(cluster.urls, join(playground.folder, 'clients'), PATIENCE_MS);
  await clients.begin();
  await clients.moves();
}

const journalLeader = () => cluster.leaderOf(journalStream('main', 'pool'));

async function kill(replica: Started): Promise<void> {
  replica.child.kill('SIGKILL');
  await replica.ended;
}

/** As many as before, and work goes on. */
async function restore(): Promise<void> {
  for (const name of SERVICES) while (replicas.running(name).length < 2) replicas.start(name);
  await replicas.serving();
  await clients.moves();
  await cluster.whole();
}

const addressOf = (replica: Started): string => {
  const [, port] = /"grpcPort":(\d+)/.exec(replica.said()) ?? [];
  return `127.0.0.1:${port}`;
};

/** Everything on all pages. */
async function whole<T>(page: (pageToken: string) => Promise<{ items: T[]; nextPageToken: string }>): Promise<T[]> {
  const all: T[] = [];
  for (let pageToken = ''; ; ) {
    const { items, nextPageToken } = await page(pageToken);
    all.push(...items);
    pageToken = nextPageToken;
    if (pageToken === '') return all;
  }
}

const ASKED = { timeoutMs: PATIENCE_MS };

/** All tasks, as one replica answers by its own port when it knows this revision. */
async function tasksOf(replica: Started, minRevision: string): Promise<Task[]> {
  await using client = createGrpcClient(addressOf(replica), ResourcePoolServiceService);
  return await whole(async (pageToken) => {
    const { tasks, nextPageToken } = await client.listTasks({ minRevision, pageSize: PAGE, pageToken }, ASKED);
    return { items: tasks, nextPageToken };
  });
}

/** All swarms, likewise. */
async function swarmsOf(replica: Started, minRevision: string): Promise<Swarm[]> {
  await using client = createGrpcClient(addressOf(replica), RegistryServiceService);
  return await whole(async (pageToken) => {
    const { swarms, nextPageToken } = await client.listSwarms({ minRevision, pageSize: PAGE, pageToken }, ASKED);
    return { items: swarms, nextPageToken };
  });
}

async function expectNothingLost(): Promise<void> {
  const revisions = await clients.settle();
  const { tasks, swarms, seen, faults } = clients;
  console.log(`${tasks.size} tasks, ${swarms.size} swarms; seen meanwhile:`, seen);
  expect(faults).toEqual([]);

  const views = await Promise.all(replicas.running('pool').map((each) => tasksOf(each, revisions.pool)));
  expect(views).toHaveLength(2);
  expect(views[1]).toEqual(views[0]);
  const idOf = new Map(views[0]?.map(({ id, spec }) => [spec?.title, id]));
  expect(idOf.size).toBe(views[0]?.length); // none twice
  expect([...tasks].filter(([title, id]) => idOf.get(title) !== id)).toEqual([]);

  const lists = await Promise.all(replicas.running('registry').map((each) => swarmsOf(each, revisions.registry)));
  expect(lists).toHaveLength(2);
  expect(lists[1]).toEqual(lists[0]);
  const revisionOf = new Map(lists[0]?.map(({ name, revision }) => [name, revision]));
  expect([...swarms].filter(([name, revision]) => revisionOf.get(name) !== revision)).toEqual([]);
}

afterEach(async () => {
  await clients?.[Symbol.asyncDispose]();
  await playground?.[Symbol.asyncDispose]();
  await cluster?.[Symbol.asyncDispose]();
});

describe.skipIf(binary === '')('services on three servers', () => {
  test('the server that leads the journal, the replica that leads the pool, and both at once are killed', async ({
    onTestFailed,
  }) => {
    onTestFailed(() => console.log(replicas?.said()));
    await begin();
    const server = await journalLeader();
    await server.kill();
    await clients.moves();
    await server.start();
    await restore();

    for (const name of SERVICES) {
      await kill(await replicas.leader(name));
      await clients.moves();
      await restore();
    }

    const [next, pool] = await Promise.all([journalLeader(), replicas.leader('pool')]);
    await Promise.all([next.kill(), kill(pool)]);
    await clients.moves();
    await next.start();
    await restore();

    await expectNothingLost();
  });
});
