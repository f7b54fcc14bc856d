import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HiveError } from '../kernel/errors.ts';
import { spawnTied } from './tied-process.ts';

/** One run of a nats-server program. */
export interface NatsProcess {
  readonly pid: number;
  readonly port: number;
  /** Base URL of the monitoring port; undefined when the configuration has none. */
  readonly monitoring: string | undefined;
  /** Resolves with the reason when the process is gone. Never rejects. */
  readonly exited: Promise<string>;
  /** Sends a signal; does nothing when the process is gone. */
  signal(name: NodeJS.Signals): void;
}

const START_MS = 20_000;

/**
 * Runs `binary` with `<dir>/nats.conf` and waits until it takes connections. The configuration must set
 * `ports_file_dir` to `dir`; the server's output goes to `<dir>/nats.log`. It never outlives this process. `within` is
 * what goes before the command, such as one that enters a network namespace.
 * @throws HiveError UNAVAILABLE with the end of the server's log when it does not come up.
 */
export async function spawnNats(binary: string, dir: string, within: readonly string[] = []): Promise<NatsProcess> {
  mkdirSync(dir, { recursive: true });
  const log = openSync(join(dir, 'nats.log'), 'a');
  const [program = binary, ...args] = [...within, binary, '-c', join(dir, 'nats.conf')];
  const child = spawnTied(program, args, log);
  closeSync(log);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ? `ended by ${signal}` : `exit code ${code}`));
  });
  const ports = await waitForPorts(binary, dir, child, exited);
  return {
    pid: child.pid as number,
    port: Number(new URL(ports.nats[0] as string).port),
    monitoring: ports.monitoring?.[0],
    exited,
    signal: (name) => void child.kill(name),
  };
}

interface Ports {
  nats: string[];
  monitoring?: string[];
}

async function waitForPorts(binary: string, dir: string, child: ChildProcess, exited: Promise<string>): Promise<Ports> {
  const file = join(dir, `${basename(binary)}_${child.pid}.ports`);
  let reason: string | undefined;
  void exited.then((text) => {
    reason = text;
  });
  const giveUpAt = performance.now() + START_MS;
  while (reason === undefined && performance.now() < giveUpAt) {
    const ports = readPorts(file);
    if (ports) {
      rmSync(file, { force: true }); // else a killed server leaves it behind, for the next one of that pid
      return ports;
    }
    await sleep(5);
  }
  child.kill('SIGKILL');
  const what = reason ?? `not ready after ${START_MS / 1000} s`;
  throw new HiveError('UNAVAILABLE', `${binary} did not start (${what}); its log ends with:\n${logTail(dir)}`);
}

function readPorts(file: string): Ports | undefined {
  try {
    const ports = JSON.parse(readFileSync(file, 'utf8')) as Partial<Ports>;
    return ports.nats?.[0] ? { ...ports, nats: ports.nats } : undefined;
  } catch {
    return undefined; // not there yet, or half written
  }
}

/** The last lines of a server's log in `dir`. */
export function logTail(dir: string, lines = 12): string {
  try {
    return readFileSync(join(dir, 'nats.log'), 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '(no log)';
  }
}
