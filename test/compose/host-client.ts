import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import type { Client } from '../../libs/rpc/api.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { untilSettled } from '../../libs/sdk/retry.ts';
import { isEnded } from '../../libs/sdk/wait.ts';
import {
  type Agent,
  ResourcePoolServiceService,
  type Task,
  type TaskSpec,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';

export const SWARM = 'host';
const PATIENCE_MS = 180_000;
const POLL_MS = 200;
const TERM_MS = 600_000;

/** A program on the host that knows two gRPC ports and has a key of its own: it leads the swarm `host`, without agents. */
export class HostClient implements AsyncDisposable {
  readonly #registry: Client<RegistryServiceService> & AsyncDisposable;
  readonly #pool: Client<ResourcePoolServiceService> & AsyncDisposable;
  readonly #signal: AbortSignal;
  /** The newest that the pool has told us: a replica that is behind may not answer as if it had not. */
  #revision = '0';

  private constructor(
    registry: Client<RegistryServiceService> & AsyncDisposable,
    pool: Client<ResourcePoolServiceService> & AsyncDisposable,
    signal: AbortSignal,
  ) {
    this.#registry = registry;
    this.#pool = pool;
    this.#signal = signal;
  }

  /** Registers the swarm. Its key lies in `home`. */
  static async connect(options: {
    readonly registry: string;
    readonly pool: string;
    readonly home: string;
    readonly signal: AbortSignal;
  }): Promise<HostClient> {
    const key = await readOrCreateKey(swarmKeyFile(options.home, 'main', SWARM));
    const token = tokenSource(key, { kind: 'swarm', swarm: SWARM }, 'main', systemClock.now);
    const registry = createGrpcClient(options.registry, RegistryServiceService, { token });
    const pool = createGrpcClient(options.pool, ResourcePoolServiceService, { token });
    const client = new HostClient(registry, pool, options.signal);
    await client.#settled(() => registry.registerSwarm({ name: SWARM }));
    return client;
  }

  /** Submits a script that an agent of type `shell` runs, and waits for its outcome. */
  async runScript(id: string, script: string): Promise<Task> {
    const spec: TaskSpec = {
      ...{ swarm: SWARM, type: 'shell', capabilities: [], script, timeoutMs: 60_000, maxAttempts: 50, priority: 0 },
      ...{ labels: {}, title: id },
    };
    await this.#told(() => this.#pool.submitTask({ id, spec, idempotent: true }));
    for (;;) {
      const { task } = await this.#told(() => this.#pool.getTask({ id, minRevision: this.#revision }));
      if (task && isEnded(task)) return task;
      await sleep(POLL_MS, undefined, { signal: this.#signal });
    }
  }

  /** Goes on borrowing an agent of type `shell` whenever it has none, until `signal` aborts. */
  async keepBorrowing(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { leases } = await this.#settled(() => this.#pool.listLeases({ swarm: SWARM }));
      if (!leases.some(({ borrower, state }) => borrower === SWARM && state === 'LEASE_STATE_ACTIVE')) {
        const wanted = { swarm: SWARM, type: 'shell', termMs: TERM_MS };
        await this.#pool.requestAgent(wanted).catch(passing);
      }
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
    }
  }

  async agent(name: string): Promise<Agent | undefined> {
    const { agents } = await this.#settled(() => this.#pool.listAgents({}));
    return agents.find((agent) => `${agent.swarm}/${agent.name}` === name);
  }

  /** All tasks of the swarm, as they stand. */
  async tasks(): Promise<Task[]> {
    const all: Task[] = [];
    for (let pageToken = ''; ; ) {
      const wanted = { swarm: SWARM, pageSize: 500, pageToken, minRevision: this.#revision };
      const page = await this.#told(() => this.#pool.listTasks(wanted));
      all.push(...page.tasks);
      pageToken = page.nextPageToken;
      if (pageToken === '') return all;
    }
  }

  async swarms(): Promise<string[]> {
    const { swarms } = await this.#settled(() => this.#registry.listSwarms({}));
    return swarms.map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry[Symbol.asyncDispose]();
    await this.#pool[Symbol.asyncDispose]();
  }

  async #told<T extends { revision: string }>(call: () => Promise<T>): Promise<T> {
    const answer = await this.#settled(call);
    if (BigInt(answer.revision) > BigInt(this.#revision)) this.#revision = answer.revision;
    return answer;
  }

  #settled<T>(call: () => Promise<T>): Promise<T> {
    return untilSettled(call, { clock: systemClock, signal: this.#signal, giveUpMs: PATIENCE_MS });
  }
}

/** No agent is free now, or the pool is away: asked again by and by. */
function passing(error: unknown): void {
  if (error instanceof HiveError && error.code !== 'PERMISSION_DENIED' && error.code !== 'INVALID_ARGUMENT') return;
  throw error;
}
