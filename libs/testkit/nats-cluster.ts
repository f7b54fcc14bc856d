import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsProcess, spawnNats } from '../service/nats-process.ts';
import { type Network, startNetwork } from './network.ts';
import { until } from './until.ts';

const SIZE = 3;
/** An election takes 4 to 9 s by itself, and the machine may be busy. */
const PATIENCE_MS = 90_000;

/** One server of a cluster; its files stay until the cluster is stopped. */
export interface ClusterServer {
  readonly name: string;
  readonly url: string;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again; with `emptyDisk` it has lost its files. */
  start(options?: { emptyDisk?: boolean }): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  pause(): void;
  resume(): void;
  /** Its cable is pulled, until `heal`. Only with `cables`. */
  cutOff(): void;
  /** The other servers do not reach it, its clients do, until `heal`. Only with `cables`. */
  separate(): void;
  heal(): void;
}

/** Three real nats-servers with replicated JetStream, on 127.0.0.1 or each behind a cable of its own. */
export interface NatsCluster extends AsyncDisposable {
  readonly servers: readonly ClusterServer[];
  readonly urls: readonly string[];
  /** Who leads the stream; waits for one that says so of itself. */
  leaderOf(stream: string): Promise<ClusterServer>;
  /** Whose client listens on exactly this subject; waits for one. */
  listenedAt(subject: string): Promise<ClusterServer>;
  /** Resolves when every server runs and has all of every stream, so that any one may be lost. */
  whole(): Promise<void>;
}

export interface NatsClusterOptions {
  readonly binary: string;
  /** A network for each server, so that it can be cut off; see `noNetwork`. Default: all on 127.0.0.1. */
  readonly cables?: boolean;
}

interface Place {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly routePort: number;
}

export async function startNatsCluster({ binary, cables = false }: NatsClusterOptions): Promise<NatsCluster> {
  const network = cables ? startNetwork(SIZE) : undefined;
  const places = network ? network.hosts.map(behindCable) : await onLoopback();
  const dir = mkdtempSync(join(tmpdir(), 'hivebus-cluster-'));
  const servers = places.map((_, i) => new Server(binary, join(dir, `n${i}`), places, i, network));
  const stop = async () => {
    for (const server of servers) await server.kill();
    network?.[Symbol.dispose]();
    rmSync(dir, { recursive: true, force: true });
  };
  const whole = async () => {
    await until(async () => isWhole(await Promise.all(servers.map((server) => server.status()))), PATIENCE_MS);
  };
  try {
    await Promise.all(servers.map((server) => server.start()));
    await whole();
  } catch (error) {
    await stop();
    throw error;
  }
  const find = async (is: (server: Server) => Promise<boolean>) => {
    for (const server of servers) if (await is(server)) return server;
    return undefined;
  };
  const leads = (stream: string) => async (server: Server) => {
    const status = await server.status();
    return status !== undefined && ledBy(server.name, status).some(({ name }) => name === stream);
  };
  return {
    servers,
    urls: servers.map(({ url }) => url),
    leaderOf: (stream) => until(() => find(leads(stream)), PATIENCE_MS),
    listenedAt: (subject) => until(() => find((server) => server.hasListener(subject)), PATIENCE_MS),
    whole,
    [Symbol.asyncDispose]: stop,
  };
}

const behindCable = (host: string, i: number): Place => ({ name: `n${i}`, host, port: 4222, routePort: 6222 });

async function onLoopback(): Promise<Place[]> {
  const ports = await Promise.all(Array.from({ length: 2 * SIZE }, freePort));
  return Array.from({ length: SIZE }, (_, i) => ({
    name: `n${i}`,
    host: '127.0.0.1',
    port: ports[i] as number,
    routePort: ports[i + SIZE] as number,
  }));
}

/** Routes name each other's ports, so these must be known before the servers start. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

class Server implements ClusterServer {
  readonly name: string;
  readonly url: string;
  readonly #binary: string;
  readonly #dir: string;
  readonly #network: Network | undefined;
  readonly #index: number;
  #running: NatsProcess | undefined;

  constructor(binary: string, dir: string, places: readonly Place[], index: number, network: Network | undefined) {
    const place = places[index] as Place;
    this.name = place.name;
    this.url = `nats://${place.host}:${place.port}`;
    this.#binary = binary;
    this.#dir = dir;
    this.#network = network;
    this.#index = index;
    mkdirSync(dir);
    writeFileSync(join(dir, 'nats.conf'), configText(dir, place, places));
  }

  async kill(): Promise<void> {
    this.#running?.signal('SIGKILL');
    await this.#running?.exited;
    this.#running = undefined;
  }

  async start({ emptyDisk = false } = {}): Promise<void> {
    if (emptyDisk) rmSync(join(this.#dir, 'jetstream'), { recursive: true });
    this.#running = await spawnNats(this.#binary, this.#dir, this.#network?.within(this.#index));
  }

  pause(): void {
    this.#running?.signal('SIGSTOP');
  }

  resume(): void {
    this.#running?.signal('SIGCONT');
  }

  cutOff(): void {
    this.#cable().pull(this.#index);
  }

  separate(): void {
    this.#cable().separate(this.#index);
  }

  heal(): void {
    this.#cable().heal(this.#index);
  }

  /** What it says of JetStream; undefined while it does not answer. */
  status(): Promise<Jsz | undefined> {
    return this.#told('jsz?streams=1') as Promise<Jsz | undefined>;
  }

  async hasListener(subject: string): Promise<boolean> {
    const connz = (await this.#told('connz?subs=1')) as Connz | undefined;
    return connz?.connections.some(({ subscriptions_list: all = [] }) => all.includes(subject)) ?? false;
  }

  /** What its monitoring port says; undefined while it does not answer. */
  async #told(path: string): Promise<unknown> {
    try {
      const response = await fetch(`${this.#running?.monitoring}/${path}`, { signal: AbortSignal.timeout(2000) });
      return await response.json();
    } catch {
      return undefined;
    }
  }

  #cable(): Network {
    if (!this.#network) throw new Error('a server on 127.0.0.1 has no cable of its own');
    return this.#network;
  }
}

/** As README advises: what does not answer is noticed after seconds, not minutes. */
function configText(dir: string, { name, host, port, routePort }: Place, places: readonly Place[]): string {
  const routes = places
    .filter((other) => other.name !== name)
    .map((other) => `nats://${other.host}:${other.routePort}`);
  return [
    `server_name: ${name}`,
    `listen: "${host}:${port}"`,
    `http: "${host}:-1"`,
    `ports_file_dir: ${JSON.stringify(dir)}`,
    'ping_interval: 5s',
    `jetstream { store_dir: ${JSON.stringify(dir)} }`,
    `cluster { name: hive, listen: "${host}:${routePort}", ping_interval: 5s, routes: ${JSON.stringify(routes)} }`,
    '',
  ].join('\n');
}

/** What a server's monitoring port says of JetStream, as far as it matters here. */
interface Jsz {
  readonly meta_cluster?: Raft & { readonly cluster_size: number };
  readonly account_details?: readonly { readonly stream_detail?: readonly { name: string; cluster?: Raft }[] }[];
}

interface Connz {
  readonly connections: readonly { readonly subscriptions_list?: readonly string[] }[];
}

interface Raft {
  readonly leader?: string;
  readonly replicas?: readonly { readonly current: boolean; readonly offline?: boolean }[];
}

const streamsOf = (status: Jsz) => (status.account_details ?? []).flatMap(({ stream_detail = [] }) => stream_detail);

const ledBy = (server: string, status: Jsz) => streamsOf(status).filter(({ cluster }) => cluster?.leader === server);

/** Every Raft group has a leader that knows all others to be up to date, and every server has every stream. */
function isWhole(statuses: readonly (Jsz | undefined)[]): boolean {
  const known = statuses.filter((status) => status !== undefined);
  const [streams = 0, ...more] = known.map((status) => streamsOf(status).length);
  if (known.length < SIZE || more.some((count) => count !== streams)) return false;
  const led = known.flatMap((status, i) => {
    const groups = [...streamsOf(status).map(({ cluster }) => cluster), status.meta_cluster];
    return groups.filter((group) => group?.leader === `n${i}`);
  });
  return led.length === streams + 1 && led.every((group) => group?.replicas?.every(isCurrent));
}

const isCurrent = ({ current, offline }: { current: boolean; offline?: boolean }) => current && !offline;
