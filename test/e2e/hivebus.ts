import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { natsServerPath } from '../../libs/service/nats-binary.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** The real command line, as a user has it, in a folder of its own. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const DIST = join(ROOT, 'dist');
const MAIN = join('cli', 'main.js');
/** A command takes seconds to start on a starved machine, and what is waited for takes several. */
const PATIENCE_MS = 90_000;

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ran>;
  /** What it has said so far. */
  said(): string;
}

export class Playground implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'hivebus-e2e-'));
  readonly #running = new Set<Started>();

  constructor() {
    if (!existsSync(join(DIST, MAIN))) throw new Error(`${join(DIST, MAIN)} is missing: run npm run build`);
  }

  /** Starts `hivebus ARGS…`. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
    return this.program(MAIN, args, env);
  }

  /** Starts a compiled program, e.g. `services/registry/main.js`. */
  program(main: string, args: readonly string[], env: NodeJS.ProcessEnv): Started {
    return this.other(process.execPath, [join(DIST, main), ...args], env);
  }

  /** Starts a program that is not ours. */
  other(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Started {
    const child = spawn(program, args, {
      cwd: this.folder,
      env: { ...withoutOurs(process.env), HIVEBUS_NATS_SERVER: natsServerPath(), HOME: this.folder, ...env },
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.stdin.on('error', () => {});
    const ended = new Promise<Ran>((resolve) => {
      child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
    });
    const started = { child, ended, said: () => stdout + stderr };
    this.#running.add(started);
    void ended.then(() => this.#running.delete(started));
    return started;
  }

  /** Runs `hivebus ARGS…` to its end. */
  run(args: readonly string[], input = ''): Promise<Ran> {
    const { child, ended } = this.start(args);
    child.stdin?.end(input);
    return ended;
  }

  /** Runs one whose answer is JSON. Throws when it fails. */
  async json<T>(args: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run([...args, '-o', 'json']);
    if (code !== 0) throw new Error(`hivebus ${args.join(' ')}: exit code ${code}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** `hivebus up` on free ports. */
  async up(env: NodeJS.ProcessEnv = {}): Promise<Started> {
    const up = this.start(['up', '--port', '0', '--grpc-port', '0'], env);
    await Promise.race([until(() => up.said().includes('Hivebus is up'), PATIENCE_MS), failed(up, 'hivebus up')]);
    return up;
  }

  /** `hivebus agent run` in swarm `code`, ready for work. */
  async agent(args: readonly string[]): Promise<Started> {
    const agent = this.start(['agent', 'run', '--swarm', 'code', ...args]);
    await Promise.race([
      until(() => agent.said().includes('is ready'), PATIENCE_MS),
      failed(agent, 'hivebus agent run'),
    ]);
    return agent;
  }

  /** A file that `hivebus up` keeps. */
  kept(...path: string[]): string {
    return readFileSync(join(this.folder, '.hivebus', ...path), 'utf8');
  }

  /** SIGKILL of the services and the bus with them, then the same again at the same address. `up`: those that run now. */
  async killedAndUp(up: Started): Promise<Started> {
    const { nats } = JSON.parse(this.kept('run.json')) as { nats: string };
    const bus = Number(this.kept('nats', 'nats.pid'));
    up.child.kill('SIGKILL');
    await up.ended;
    await until(() => !isAlive(bus), PATIENCE_MS);
    const again = this.start(['up', '--port', new URL(nats).port, '--grpc-port', '0']);
    await until(() => again.said().includes('Hivebus is up'), PATIENCE_MS);
    return again;
  }

  /** Submits a task and answers its id. */
  async submit(swarm: string, type: string, more: readonly string[] = []): Promise<string> {
    return (await this.json<Task>(['task', 'submit', '--swarm', swarm, '--type', type, ...more])).id;
  }

  task(id: string): Promise<Task> {
    return this.json<Task>(['task', 'get', id]);
  }

  /** Resolves when a task is `RUNNING`, `SUCCEEDED` or whatever is said. */
  taskIn(id: string, state: string): Promise<Task> {
    return until(async () => {
      const task = await this.task(id);
      return task.state === `TASK_STATE_${state}` ? task : undefined;
    }, PATIENCE_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child, ended } of [...this.#running].reverse()) {
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

async function failed(started: Started, what: string): Promise<never> {
  const { code, stderr } = await started.ended;
  throw new Error(`${what} ended with exit code ${code}: ${stderr}`);
}

const withoutOurs = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !/^(HIVEBUS_|TRACEPARENT)/.test(name)));

/** Whether a process runs; a zombie that nobody has reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
