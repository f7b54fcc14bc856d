import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { natsLog } from '../../libs/journal/nats-log.ts';
import { Replica } from '../../libs/journal/replica.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { journalStream, journalSubject } from '../../libs/protocol/subjects.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { untilSettled } from '../../libs/sdk/retry.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { createPoolMachine } from '../../services/resource-pool/core/machine.ts';
import { DEFAULT_SETTINGS } from '../../services/resource-pool/core/settings.ts';
import type { PoolEvent, PoolShape } from '../../services/resource-pool/core/state.ts';
import { Audit } from './audit.ts';
import { isAlive, Playground, type Started } from './hivebus.ts';
import { Replicas, type ServiceName } from './replicas.ts';

const PATIENCE_MS = 60_000;

/** What the pool's journal says, read from the stream and replayed record by record. */
export interface Truth {
  readonly events: readonly PoolEvent[];
  readonly state: PoolShape['state'];
  /** What its records say by themselves. */
  readonly audit: Audit;
  /** Agents that had more tasks than slots after some record. */
  readonly overloaded: readonly string[];
}

/** Everything in processes of its own: the bus, two of each service, any number of agents; the client is the test. */
export class Federation implements AsyncDisposable {
  readonly playground = new Playground();
  readonly nats: NatsServer;
  readonly #replicas = new Replicas(this.playground, () => this.env, PATIENCE_MS);
  #hive: Hive | undefined;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(nats: NatsServer, env: NodeJS.ProcessEnv) {
    this.nats = nats;
    this.#env = env;
  }

  /** The bus, `first`, and `replicas` of each service, which get `env`, too; as the queen of swarm `code`. */
  static async start(replicas: number, env: NodeJS.ProcessEnv = {}, first?: ServiceName): Promise<Federation> {
    const federation = new Federation(await startNatsServer(), env);
    if (first) federation.service(first);
    await federation.#replicas.serving();
    for (let i = 0; i < replicas; i++) for (const name of ['registry', 'pool'] as const) federation.service(name);
    await federation.#replicas.serving();
    await federation.join();
    return federation;
  }

  /** Where the swarm's key lies. */
  get home(): string {
    return join(this.playground.folder, '.config', 'hivebus');
  }

  get env(): NodeJS.ProcessEnv {
    return { HIVEBUS_NATS: this.nats.url, HIVEBUS_GRPC_PORT: '0', ...this.#env };
  }

  get hive(): Hive {
    if (!this.#hive) throw new Error('not joined');
    return this.#hive;
  }

  /** Starts one more replica, on a gRPC port of its own choice or on this one. */
  service(name: ServiceName, grpcPort = 0): Started {
    return this.#replicas.start(name, { HIVEBUS_GRPC_PORT: String(grpcPort) });
  }

  /** Connects as the queen of swarm `code`, and registers it. */
  async join(): Promise<void> {
    const identity = { kind: 'swarm', swarm: 'code' } as const;
    this.#hive = await connect({ servers: this.nats.url, home: this.home, identity });
    await this.settled(() => this.hive.registry.registerSwarm({ name: 'code' }));
  }

  /** Whoever has begun the newest epoch, if it still runs. */
  leader(name: ServiceName): Promise<Started> {
    return this.#replicas.leader(name);
  }

  /** The end of what each replica has said, for a test that failed. */
  said(): string {
    return this.#replicas.said();
  }

  running(name: ServiceName): Started[] {
    return this.#replicas.running(name);
  }

  /** `hivebus agent run` in swarm `code`. */
  agent(args: readonly string[]): Started {
    return this.playground.start(['agent', 'run', '--swarm', 'code', ...args], this.env);
  }

  /** As `agent`, ready for work. */
  ready(args: readonly string[]): Promise<Started> {
    return this.#saysReady(this.agent(args));
  }

  /**
   * An agent of swarm `code` whose tasks say what they do (`work.ts`), ready for work. With addresses it has nothing but
   * a gRPC session at one of them.
   */
  worker(name: string, type: string, slots: number, addresses: readonly string[] = []): Promise<Started> {
    const whom = ['--swarm', 'code', '--name', name, '--type', type, '--slots', String(slots), '--home', this.home];
    const [program, line] =
      addresses.length > 0
        ? ['session-worker', ['--addresses', addresses.join(',')]]
        : ['worker', ['--servers', this.nats.url]];
    return this.#saysReady(this.playground.program(`test/e2e/programs/${program}.js`, [...line, ...whom], this.env));
  }

  async #saysReady(agent: Started): Promise<Started> {
    const early = agent.ended.then(({ code, stderr }) =>
      Promise.reject(new Error(`an agent ended with ${code}: ${stderr}`)),
    );
    await Promise.race([until(() => agent.said().includes('is ready'), PATIENCE_MS), early]);
    early.catch(() => {}); // by and by it ends
    return agent;
  }

  /** Calls until it is accepted or refused for good. */
  settled<T>(call: () => Promise<T>): Promise<T> {
    return untilSettled(call, { clock: systemClock, signal: new AbortController().signal, giveUpMs: PATIENCE_MS });
  }

  /** Submits tasks `<prefix>-0` and so on, 16 at a time. What was accepted although the answer was lost counts. */
  async submit(prefix: string, count: number, spec: Partial<TaskSpec> & { type: string }): Promise<string[]> {
    const ids = Array.from({ length: count }, (_, i) => `${prefix}-${i}`);
    const next = ids.values();
    const lane = async () => {
      for (const id of next) await this.#submitOne(id, spec);
    };
    await Promise.all(Array.from({ length: 16 }, lane));
    return ids;
  }

  async #submitOne(id: string, spec: Partial<TaskSpec>): Promise<void> {
    const whole: TaskSpec = {
      ...{ swarm: 'code', type: '', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 50, priority: 0 },
      ...{ labels: {}, title: '', ...spec },
    };
    try {
      await this.settled(() => this.hive.pool.submitTask({ id, spec: whole }));
    } catch (error) {
      if (!(error instanceof HiveError) || error.code !== 'ALREADY_EXISTS') throw error;
    }
  }

  /** The pool's whole journal, as every replica must understand it. */
  async truth(): Promise<Truth> {
    const { nc } = this.hive;
    const jsm = await jetstreamManager(nc);
    const [stream, subject] = [journalStream('main', 'pool'), journalSubject('main', 'pool')];
    const log = natsLog({ nc, jsm, stream, subject, source: '/test', appendTimeoutMs: 1000 });
    const replica = new Replica<PoolShape>(createPoolMachine(DEFAULT_SETTINGS));
    const events: PoolEvent[] = [];
    const overloaded: string[] = [];
    const audit = new Audit();
    const { last } = await log.bounds();
    await new Promise<void>((resolve, reject) => {
      const take = (entry: Parameters<typeof replica.take>[0]) => {
        const committed = replica.take(entry);
        if (committed) audit.take(committed);
        events.push(...(committed?.events ?? []));
        for (const { key, slots } of committed ? replica.state.agents.values() : []) {
          if ((replica.state.workers.get(key)?.busy ?? 0) > slots) overloaded.push(`${key} at ${entry.seq}`);
        }
        if (entry.seq < last) return;
        following[Symbol.dispose]();
        resolve();
      };
      const following = log.follow(0, take, reject);
    });
    return { events, state: replica.state, audit, overloaded };
  }

  /** Processes that belong to this federation: by their environment, so that no child escapes. */
  processes(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter(
        (pid) => pid > 0 && pid !== process.pid && isAlive(pid) && environmentOf(pid).includes(this.playground.folder),
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hive?.nc.close();
    await this.playground[Symbol.asyncDispose]();
    await this.nats.stop();
  }
}

function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return ''; // gone, or not ours
  }
}
