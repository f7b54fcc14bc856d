import { until } from '../../libs/testkit/until.ts';
import type { Playground, Started } from './hivebus.ts';

export type ServiceName = 'registry' | 'pool' | 'telemetry';

const MAINS: Readonly<Record<ServiceName, string>> = {
  registry: 'services/registry/main.js',
  pool: 'services/resource-pool/main.js',
  telemetry: 'services/telemetry/main.js',
};

/** Replicas of services as processes of their own. */
export class Replicas {
  readonly #playground: Playground;
  readonly #env: () => NodeJS.ProcessEnv;
  readonly #patienceMs: number;
  readonly #started: Record<ServiceName, Started[]> = { registry: [], pool: [], telemetry: [] };

  /** `env` is asked for each process; `patienceMs` is for everything that is waited for here. */
  constructor(playground: Playground, env: () => NodeJS.ProcessEnv, patienceMs: number) {
    this.#playground = playground;
    this.#env = env;
    this.#patienceMs = patienceMs;
  }

  /** Starts one more replica. */
  start(name: ServiceName, env: NodeJS.ProcessEnv = {}): Started {
    const started = this.#playground.program(MAINS[name], [], { ...this.#env(), ...env });
    this.#started[name].push(started);
    return started;
  }

  running(name: ServiceName): Started[] {
    return this.#started[name].filter(({ child }) => child.exitCode === null && child.signalCode === null);
  }

  /** The end of what each has said, for a test that failed. */
  said(): string {
    const all = Object.values(this.#started).flat();
    return all.map((each) => `--- process ${each.child.pid}\n${each.said().slice(-4000)}`).join('\n');
  }

  /** Resolves when every replica that was started serves or has served. */
  async serving(): Promise<void> {
    await until(() => Object.values(this.#started).flat().every(isServing), this.#patienceMs);
  }

  /** Whoever has begun the newest epoch, if it still runs. */
  leader(name: ServiceName): Promise<Started> {
    return until(() => {
      const epochs = this.running(name).map((each) => ({ each, epoch: epochOf(each, name) }));
      const newest = epochs.sort((a, b) => b.epoch - a.epoch)[0];
      return newest && newest.epoch > 0 ? newest.each : undefined;
    }, this.#patienceMs);
  }
}

/** Where a replica that serves listens for gRPC. */
export const grpcPortOf = (service: Started): number => Number(/"grpcPort":(\d+)/.exec(service.said())?.[1]);

export const isServing = (service: Started): boolean => / is serving/.test(service.said());

/** The newest epoch that a replica says to lead; 0 = none. */
function epochOf(service: Started, name: ServiceName): number {
  const said = [...service.said().matchAll(new RegExp(`"epoch":(\\d+)[^\\n]*leads the journal of ${name}`, 'g'))];
  return Math.max(0, ...said.map(([, epoch]) => Number(epoch)));
}
