import { createServer } from 'node:net';
import { listen } from '../../libs/service/listen.ts';
import { until } from '../../libs/testkit/until.ts';
import { type Engine, run } from './engine.ts';

const UP_MS = 240_000;
const RECOVER_MS = 120_000;

/** The host's ports, by the variables that the compose files have for them. */
const PORTS = [
  ...['NATS', 'NATS_HTTP', 'REDIS', 'REGISTRY', 'POOL', 'TELEMETRY', 'JAEGER', 'OTLP', 'PROMETHEUS', 'GRAFANA'],
  ...['NATS_2', 'NATS_3', 'REGISTRY_2', 'POOL_2'],
] as const;

type PortName = (typeof PORTS)[number];

export interface StackOptions {
  readonly engine: Engine;
  readonly name: string;
  readonly files: readonly string[];
  /** Instead of the one that the files name. */
  readonly natsImage?: string | undefined;
  /** Ends whatever is waited for; taking the stack down goes on. */
  readonly signal: AbortSignal;
}

interface Inspected {
  readonly State: {
    readonly Running: boolean;
    readonly ExitCode: number;
    readonly Health?: { readonly Status: string };
  };
  readonly RestartCount: number;
  readonly NetworkSettings: { readonly Networks: Record<string, { readonly Aliases: readonly string[] | null }> };
}

/** The containers of the compose files, under a project name of their own and on free ports. */
export class Stack implements AsyncDisposable {
  readonly #options: StackOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #ports: ReadonlyMap<PortName, number>;
  readonly #aliases = new Map<string, string[]>();

  private constructor(options: StackOptions, ports: ReadonlyMap<PortName, number>) {
    this.#options = options;
    this.#ports = ports;
    const variables = [...ports].map(([name, port]) => [`${name}_PORT`, String(port)]);
    this.#env = {
      ...options.engine.env,
      ...Object.fromEntries(variables),
      COMPOSE_PROJECT_NAME: options.name,
      COMPOSE_FILE: options.files.join(':'),
      IMAGE: 'hivebus-test',
      ...(options.natsImage && { NATS_IMAGE: options.natsImage }),
    };
  }

  static async of(options: StackOptions): Promise<Stack> {
    const ports = new Map<PortName, number>();
    const free = freePorts();
    for (const name of PORTS) ports.set(name, (await free.next()).value);
    return new Stack(options, ports);
  }

  port(name: PortName): number {
    return this.#ports.get(name) as number;
  }

  address(name: PortName): string {
    return `127.0.0.1:${this.port(name)}`;
  }

  /** Images that the files name, but our own. */
  async images(): Promise<string[]> {
    const names = (await this.compose(['config', '--images'])).split('\n');
    return [...new Set(names)].filter((name) => name !== this.#env.IMAGE);
  }

  /** The newest lines of what our containers and the bus said. */
  async logs(): Promise<string> {
    const services = (await this.compose(['ps', '-a', '--services'])).split('\n');
    const ours = services.filter((name) => /^(nats|registry|resource-pool|telemetry|shell)/.test(name));
    return this.compose(['--ansi', 'never', 'logs', '--no-color', '--tail', '25', ...ours]);
  }

  /** Starts everything and waits until all is healthy. */
  async up(): Promise<void> {
    await this.compose(['up', '-d', '--wait', '--wait-timeout', String(UP_MS / 1000), '--quiet-pull'], UP_MS);
  }

  compose(args: readonly string[], timeoutMs?: number): Promise<string> {
    return this.#docker(['compose', ...args], timeoutMs);
  }

  /** Kills all processes of a container from within, as a crash; its restart policy brings it back. */
  async crash(service: string): Promise<void> {
    const { RestartCount: before } = await this.#inspect(service);
    await this.compose(['exec', '-T', service, 'sh', '-c', 'kill -9 -1']).catch(() => {}); // its shell may die with it
    await until(async () => (await this.#inspect(service)).RestartCount > before, RECOVER_MS);
    await this.healthy(service);
  }

  /** Takes a container off the network: nothing is refused, there is only silence. */
  async cutOff(service: string): Promise<void> {
    const { Aliases } = (await this.#inspect(service)).NetworkSettings.Networks[this.#network] ?? {};
    this.#aliases.set(service, [...new Set([service, ...(Aliases ?? [])])]);
    await this.#docker(['network', 'disconnect', this.#network, this.#container(service)]);
  }

  async reconnect(service: string): Promise<void> {
    const aliases = (this.#aliases.get(service) ?? []).flatMap((alias) => ['--alias', alias]);
    await this.#docker(['network', 'connect', ...aliases, this.#network, this.#container(service)]);
    await this.healthy(service);
  }

  /** Stops a container by SIGTERM; gives its exit code. */
  async stop(service: string): Promise<number> {
    await this.compose(['stop', service]);
    return (await this.#inspect(service)).State.ExitCode;
  }

  /** Waits until it runs and, where it has a health check, is healthy. */
  async healthy(service: string): Promise<void> {
    await until(async () => {
      const { State } = await this.#inspect(service);
      return State.Running && (State.Health === undefined || State.Health.Status === 'healthy');
    }, RECOVER_MS);
  }

  /** Takes everything down, with its volumes. */
  async [Symbol.asyncDispose](): Promise<void> {
    const down = ['compose', '--profile', '*', 'down', '-v', '--remove-orphans', '-t', '5'];
    await run('docker', down, { env: this.#env, timeoutMs: 120_000 });
  }

  get #network(): string {
    return `${this.#options.name}_default`;
  }

  #container(service: string): string {
    return `${this.#options.name}-${service}-1`;
  }

  async #inspect(service: string): Promise<Inspected> {
    const [inspected] = JSON.parse(await this.#docker(['inspect', this.#container(service)])) as Inspected[];
    if (!inspected) throw new Error(`there is no container ${this.#container(service)}`);
    return inspected;
  }

  #docker(args: readonly string[], timeoutMs = 60_000): Promise<string> {
    return run('docker', args, { env: this.#env, timeoutMs, signal: this.#options.signal });
  }
}

/**
 * Ports that nobody uses now, below those that the kernel gives to connections: a container that comes back must find
 * its port as it was.
 */
async function* freePorts(): AsyncGenerator<number, never> {
  for (let port = 20_000 + Math.floor(Math.random() * 5000); ; port++) {
    const probe = createServer();
    const isFree = await listen(probe, '127.0.0.1', port, 'a port of the test').then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    yield port;
  }
}
