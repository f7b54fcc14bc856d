import { setTimeout as sleep } from 'node:timers/promises';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { until } from '../../libs/testkit/until.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { freePort } from './free-port.ts';
import { median, ms, type Row } from './harness.ts';
import { countRegistrations } from './ledger.ts';
import type { Program } from './processes.ts';
import { type Stage, setStage } from './stage.ts';

const KILLS = 50;
const STOPS = 20;
/** Commands are issued so often, in ms: one right after the leader is gone, and fewer than the swarms that fit in all. */
const EVERY_MS = 15;
const LEADS = 'leads the journal of registry';

/** Issues one registration after the other, each of a new swarm, without waiting for the answers. */
class Stream implements AsyncDisposable {
  readonly acked = new Set<string>();
  readonly refused: string[] = [];
  /** The newest revision that was acknowledged. */
  revision = '0';
  readonly #hive: Hive;
  readonly #open = new Set<Promise<void>>();
  readonly #ending = new AbortController();
  readonly #issuing: Promise<void>;
  #count = 0;
  #onAccepted: (issuedAt: number) => void = () => {};

  constructor(hive: Hive) {
    this.#hive = hive;
    this.#issuing = this.#issueAll();
  }

  /** Resolves when a command was accepted that was issued from now on: with the time until then, in milliseconds. */
  nextAccepted(): Promise<number> {
    const beganAt = performance.now();
    return new Promise((resolve) => {
      this.#onAccepted = (issuedAt) => {
        if (issuedAt >= beganAt) resolve(performance.now() - beganAt);
      };
    });
  }

  async #issueAll(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const one = this.#issue(`k${this.#count++}`).finally(() => this.#open.delete(one));
      this.#open.add(one);
      await sleep(EVERY_MS);
    }
  }

  async #issue(name: string): Promise<void> {
    const issuedAt = performance.now();
    try {
      const { revision } = await this.#hive.registry.registerSwarm({ name });
      this.acked.add(name);
      this.revision = revision;
      this.#onAccepted(issuedAt);
    } catch (error) {
      this.refused.push((error as Error).message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#issuing;
    await Promise.all(this.#open);
  }
}

interface Replica {
  readonly program: Program;
  readonly grpc: string;
}

/** Two replicas, of whom one leads. */
class Pair {
  readonly #stage: Stage;
  #leader: Replica;
  #standby: Replica;

  private constructor(stage: Stage, leader: Replica, standby: Replica) {
    this.#stage = stage;
    this.#leader = leader;
    this.#standby = standby;
  }

  static async start(stage: Stage): Promise<Pair> {
    const leader = await startReplica(stage);
    return new Pair(stage, leader, await startReplica(stage));
  }

  /** Takes the leader away by a signal. Resolves with the time until a command was accepted again. */
  async remove(signal: 'SIGKILL' | 'SIGSTOP', stream: Stream): Promise<number> {
    const before = timesLed(this.#standby);
    this.#leader.program.signal(signal);
    const tookMs = await stream.nextAccepted();
    await until(() => timesLed(this.#standby) > before);
    [this.#leader, this.#standby] = [this.#standby, this.#leader];
    return tookMs;
  }

  /** Starts another instead of the one that was removed. */
  async replace(): Promise<void> {
    this.#standby.program.signal('SIGKILL');
    await this.#standby.program.exited;
    this.#standby = await startReplica(this.#stage);
  }

  /** Lets the one that was stopped go on. It thought that it led; it is ready again when it knows `revision`. */
  async goOn(revision: string): Promise<void> {
    this.#standby.program.signal('SIGCONT');
    await using client = createGrpcClient(this.#standby.grpc, RegistryServiceService);
    await client.listSwarms({ minRevision: revision, pageSize: 1 });
  }
}

/** A replica that is ready to take over. */
async function startReplica(stage: Stage): Promise<Replica> {
  const port = await freePort();
  const program = stage.start('registry', { HIVEBUS_GRPC_PORT: String(port) });
  await program.says('is serving');
  return { program, grpc: `127.0.0.1:${port}` };
}

const timesLed = ({ program }: Replica): number => program.said().split(LEADS).length - 1;

export async function takeoverRows(): Promise<Row[]> {
  await using stage = await setStage();
  const pair = await Pair.start(stage);
  const hive = await stage.connect();
  const killed: number[] = [];
  const stopped: number[] = [];
  const stream = new Stream(hive);
  await stream.nextAccepted();
  for (let i = 0; i < KILLS; i++) {
    killed.push(await pair.remove('SIGKILL', stream));
    await pair.replace();
  }
  for (let i = 0; i < STOPS; i++) {
    stopped.push(await pair.remove('SIGSTOP', stream));
    if (i % 2 === 0) await pair.goOn(stream.revision);
    else await pair.replace();
  }
  await stream[Symbol.asyncDispose]();
  return [
    takeoverRow('kill -9 of the leader', killed, 300),
    takeoverRow('SIGSTOP of the leader', stopped, 1000),
    await truthRow(hive, stream),
  ];
}

function takeoverRow(what: string, tookMs: readonly number[], mostMs: number): Row {
  const worst = Math.max(...tookMs);
  return {
    what: `${what} until the next command is accepted, ${tookMs.length} times`,
    floor: '',
    measured: `median ${ms(median(tookMs))}, worst ${ms(worst)}`,
    ratio: '',
    target: `each within ${mostMs} ms`,
    ok: worst <= mostMs,
  };
}

/** Every acknowledged registration is in the journal once, and in the state; nothing is there twice. */
async function truthRow(hive: Hive, { acked, refused }: Stream): Promise<Row> {
  const counts = await countRegistrations(hive.nc);
  const listed = await listAll(hive);
  const lost = [...acked].filter((name) => !counts.has(name) || !listed.has(name)).length;
  const doubled = [...counts.values()].filter((times) => times > 1).length;
  if (refused.length > 0) console.error(`refused meanwhile: ${[...new Set(refused)].join('; ')}`);
  return {
    what: 'acknowledged commands over all these takeovers',
    floor: '',
    measured: `${acked.size} acknowledged, ${refused.length} refused, ${lost} lost, ${doubled} doubled`,
    ratio: '',
    target: 'none lost or doubled',
    ok: lost === 0 && doubled === 0,
  };
}

async function listAll({ registry }: Hive): Promise<Set<string>> {
  const names = new Set<string>();
  let pageToken = '';
  do {
    const page = await registry.listSwarms({ pageSize: 1000, pageToken, linearizable: pageToken === '' });
    for (const { name } of page.swarms) names.add(name);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return names;
}
