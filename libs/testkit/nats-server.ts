import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAtLeast } from '../bus/version.ts';
import { HiveError } from '../kernel/errors.ts';
import { natsServerPath, natsServerVersion } from '../service/nats-binary.ts';
import { type NatsProcess, spawnNats } from '../service/nats-process.ts';

export interface NatsServerOptions {
  /** The program; default: the one that `natsServerPath` finds. */
  readonly binary?: string;
  /** Every write reaches the disk before it is acknowledged. Slow; says how in `syncs`. */
  readonly syncAlways?: boolean;
  /** Bound of JetStream's files, in bytes; a small one plays a full disk. */
  readonly maxFileStoreBytes?: number;
  /** Also listen for HTTP monitoring; see `monitoring`. */
  readonly monitoring?: boolean;
  /** More configuration text, appended. */
  readonly config?: string;
}

/** A real nats-server with JetStream, alone in a temporary folder, on a free port of 127.0.0.1. */
export interface NatsServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Everything that the server keeps; removed by `stop`. */
  readonly dir: string;
  /** Of the current run. */
  readonly pid: number;
  readonly version: string;
  readonly monitoring: string | undefined;
  /** How each write is synced: by the server, by the folder's `S` attribute, or not. */
  readonly syncs: 'server' | 'folder' | 'no';
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
  /** SIGKILL; the folder stays for `restart`. */
  kill(): Promise<void>;
  /** Ends it if it runs (by `signal`, default SIGTERM) and starts it again on the same port and files. */
  restart(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** SIGSTOP: connections stay open and nothing is answered. */
  pause(): void;
  resume(): void;
}

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const binary = options.binary ?? natsServerPath();
  const version = await natsServerVersion(binary);
  const dir = mkdtempSync(join(tmpdir(), 'hivebus-nats-'));
  const syncs = options.syncAlways ? syncEachWrite(dir, version) : 'no';
  const start = (port: number): Promise<NatsProcess> => {
    writeFileSync(join(dir, 'nats.conf'), configText(dir, port, syncs === 'server', options));
    return spawnNats(binary, dir);
  };
  let current = await start(-1).catch((error: unknown) => {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  });
  const port = current.port;
  const end = async (signal: NodeJS.Signals) => {
    current.signal(signal);
    current.signal('SIGCONT');
    await current.exited;
  };
  const stop = async () => {
    await end('SIGTERM');
    rmSync(dir, { recursive: true, force: true });
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    dir,
    version,
    syncs,
    get pid() {
      return current.pid;
    },
    get monitoring() {
      return current.monitoring;
    },
    stop,
    kill: () => end('SIGKILL'),
    restart: async (signal = 'SIGTERM') => {
      await end(signal);
      current = await start(port);
    },
    pause: () => current.signal('SIGSTOP'),
    resume: () => current.signal('SIGCONT'),
    [Symbol.asyncDispose]: stop,
  };
}

function configText(dir: string, port: number, sync: boolean, options: NatsServerOptions): string {
  const store = [`store_dir: ${JSON.stringify(dir)}`];
  if (options.maxFileStoreBytes !== undefined) store.push(`max_file_store: ${options.maxFileStoreBytes}`);
  if (sync) store.push('sync_interval: always');
  return [
    'host: 127.0.0.1',
    `port: ${port}`, // -1: the server takes a free one
    `ports_file_dir: ${JSON.stringify(dir)}`,
    ...(options.monitoring ? ['http: "127.0.0.1:-1"'] : []),
    `jetstream { ${store.join(', ')} }`,
    options.config ?? '',
    '',
  ].join('\n');
}

/** Servers before 2.10 cannot sync each write themselves; the folder can, where the file system and our rights let us. */
function syncEachWrite(dir: string, version: string): 'server' | 'folder' {
  if (isAtLeast(version, '2.10.0')) return 'server';
  try {
    mkdirSync(join(dir, 'jetstream'));
    execFileSync('chattr', ['+S', join(dir, 'jetstream')], { stdio: 'pipe' });
    return 'folder';
  } catch (cause) {
    rmSync(dir, { recursive: true, force: true });
    const message = `nats-server ${version} has no sync_interval and chattr +S is refused here: use 2.10 or later`;
    throw new HiveError('FAILED_PRECONDITION', message, { cause });
  }
}
