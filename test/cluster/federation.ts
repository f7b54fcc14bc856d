import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { readRange } from '../../libs/journal/watch.ts';
import { journalStream, leaderSubject } from '../../libs/protocol/subjects.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import {
  type ClusterServer,
  type NatsCluster,
  type NatsClusterOptions,
  startNatsCluster,
} from '../../libs/testkit/nats-cluster.ts';
import { until } from '../../libs/testkit/until.ts';
import { ResourcePoolServiceService, type Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { RegistryServiceService, type Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { Playground, type Started } from '../e2e/hivebus.ts';
import { Replicas } from '../e2e/replicas.ts';
import { Truth } from '../simulation/journal/truth.ts';
import { Clients, WORK } from './clients.ts';
import { logOf } from './history.ts';
import { PATIENCE_MS } from './load.ts';

export const SERVICES = ['registry', 'pool'] as const;
const AGENTS = 2;
/** Where agents write which attempt of which task they begin. */
const BEGUN = 'begun.txt';
const COMMAND = `echo "$HIVEBUS_TASK_ID $HIVEBUS_ATTEMPT" >> ${BEGUN}; echo "{\\"title\\": \\"$HIVEBUS_TITLE\\"}"`;
const PAGE = 1000;
const ASKED = { timeoutMs: PATIENCE_MS };

/** Registry and pool as processes, two replicas each, and agents, on three real servers, with clients that never rest. */
export class ClusteredFederation implements AsyncDisposable {
  readonly cluster: NatsCluster;
  readonly replicas: Replicas;
  readonly #playground: Playground;
  readonly #agents: Started[] = [];
  #clients: Clients | undefined;

  static async start(options: NatsClusterOptions): Promise<ClusteredFederation> {
    const federation = new ClusteredFederation(await startNatsCluster(options));
    try {
      await federation.#begin();
    } catch (error) {
      console.log(federation.said());
      await federation[Symbol.asyncDispose]();
      throw error;
    }
    return federation;
  }

  private constructor(cluster: NatsCluster) {
    this.cluster = cluster;
    this.#playground = new Playground();
    const env = { HIVEBUS_NATS: cluster.urls.join(','), HIVEBUS_REPLICAS: '3', HIVEBUS_GRPC_PORT: '0' };
    this.replicas = new Replicas(this.#playground, () => env, PATIENCE_MS);
  }

  async #begin(): Promise<void> {
    for (const name of [...SERVICES, ...SERVICES]) this.replicas.start(name);
    await this.replicas.serving();
    const home = join(this.#playground.folder, 'clients');
    this.#clients = await Clients.start(this.cluster.urls, home, PATIENCE_MS);
    await this.clients.begin();
    for (let n = 1; n <= AGENTS; n++) this.#agents.push(this.#startAgent(`a${n}`, home));
    await until(() => this.#agents.every((agent) => agent.said().includes('is ready')), PATIENCE_MS);
    this.clients.beginWork();
    await this.clients.moves();
  }

  #startAgent(name: string, home: string): Started {
    const { type, swarm } = WORK;
    const args = ['agent', 'run', '--swarm', swarm, '--type', type, '--name', name, '--slots', '2', '--exec', COMMAND];
    return this.#playground.start(args, { HIVEBUS_NATS: this.cluster.urls.join(','), HIVEBUS_HOME: home });
  }

  get clients(): Clients {
    if (!this.#clients) throw new Error('the federation has not begun yet');
    return this.#clients;
  }

  /** The server that leads the pool's journal. */
  journalLeader(): Promise<ClusterServer> {
    return this.cluster.leaderOf(journalStream('main', 'pool'));
  }

  /** The server that whoever leads the pool is connected to. */
  poolLeadersServer(): Promise<ClusterServer> {
    return this.cluster.listenedAt(leaderSubject('main', 'pool'));
  }

  /** Lets this server lead the pool's journal. */
  async leadFrom(server: ClusterServer): Promise<void> {
    const nc = await connectBus({ servers: this.cluster.urls, name: 'test' });
    const subject = `$JS.API.STREAM.LEADER.STEPDOWN.${journalStream('main', 'pool')}`;
    const wanted = JSON.stringify({ placement: { preferred: server.name } });
    const leads = async () => {
      if ((await this.journalLeader()) === server) return true;
      await nc.request(subject, wanted).catch(() => {}); // while there is none, or it has just changed
      return false;
    };
    await until(leads, PATIENCE_MS).finally(() => nc.close());
  }

  /** As many replicas as at the start, on a whole cluster, and work goes on. */
  async restore(): Promise<void> {
    for (const name of SERVICES) while (this.replicas.running(name).length < 2) this.replicas.start(name);
    await this.replicas.serving();
    await this.clients.moves();
    await this.cluster.whole();
  }

  /** Ends the load and compares what clients were told with each replica, replicas with each other, and the journal. */
  async expectNothingLost(): Promise<void> {
    const revisions = await this.clients.settle();
    const { tasks, swarms, seen, faults } = this.clients;
    console.log(`${tasks.size} tasks, ${swarms.size} swarms; seen meanwhile:`, seen);
    expect(faults).toEqual([]);
    const pools = this.replicas.running('pool').map((each) => tasksOf(each, revisions.pool));
    const all = onlyView(await Promise.all(pools));
    const idOf = new Map(all.map(({ id, spec }) => [spec?.title, id]));
    expect(idOf.size).toBe(all.length); // none twice
    expect([...tasks].filter(([title, id]) => idOf.get(title) !== id)).toEqual([]);

    const registries = this.replicas.running('registry').map((each) => swarmsOf(each, revisions.registry));
    const list = onlyView(await Promise.all(registries));
    const revisionOf = new Map(list.map(({ name, revision }) => [name, revision]));
    expect([...swarms].filter(([name, revision]) => revisionOf.get(name) !== revision)).toEqual([]);

    await this.#expectEachEndedOnce(all.filter(({ spec }) => spec?.type === WORK.type));
  }

  /** Work has succeeded, with its own result, by one event; no attempt was begun twice; and agents are still there. */
  async #expectEachEndedOnce(work: readonly Task[]): Promise<void> {
    const wrong = work.filter(({ state, result, spec }) => {
      return state !== 'TASK_STATE_SUCCEEDED' || (result as { title?: string } | undefined)?.title !== spec?.title;
    });
    expect(wrong).toEqual([]);
    const { requests, ended } = await this.#journal();
    expect(requests).toEqual([]);
    expect(ended.toSorted()).toEqual(work.map(({ id }) => id).toSorted());
    const begun = readFileSync(join(this.#playground.folder, BEGUN), 'utf8').trimEnd().split('\n');
    expect(new Set(begun).size).toBe(begun.length);
    expect(this.#agents.filter(({ child }) => child.exitCode !== null || child.signalCode !== null)).toEqual([]);
    const again = work.filter(({ attempts }) => attempts.length > 1).length;
    console.log(`${work.length} tasks done by agents, ${again} of them with more than one attempt`);
  }

  /** Of the pool's journal: requests that are in it more than once, and the task of each end. */
  async #journal(): Promise<{ requests: unknown[]; ended: string[] }> {
    const nc = await connectBus({ servers: this.cluster.urls, name: 'test' });
    try {
      const log = await logOf(nc, 'pool');
      const { last } = await log.bounds();
      const { requests, events } = new Truth(await readRange(log, 0, last)).catchUp();
      const ends = [...events.values()].filter((text) => text.startsWith('task.ended '));
      return {
        requests: [...requests].filter(([, { times }]) => times !== 1),
        ended: ends.map((text) => (JSON.parse(text.slice(text.indexOf(' '))) as { task: string }).task),
      };
    } finally {
      await nc.close();
    }
  }

  /** For a test that failed. */
  said(): string {
    const agents = this.#agents.map((each) => `--- agent\n${each.said().slice(-3000)}`);
    return [this.replicas.said(), ...agents].join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clients?.[Symbol.asyncDispose]();
    await this.#playground[Symbol.asyncDispose]();
    await this.cluster[Symbol.asyncDispose]();
  }
}

/** What two replicas both say. */
function onlyView<T>(views: readonly T[][]): T[] {
  expect(views).toHaveLength(2);
  expect(views[1]).toEqual(views[0]);
  return views[0] as T[];
}

/** What a replica has heard by itself is not in the journal. */
const unheard = ({ lastHeartbeatAt, health, ...durable }: Swarm): Swarm => ({ ...durable });

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
    return { items: swarms.map(unheard), nextPageToken };
  });
}
