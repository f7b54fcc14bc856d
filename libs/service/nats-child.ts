import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isAtLeast, OLDEST_NATS_SERVER } from '../bus/version.ts';
import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { diskOf } from './disk-room.ts';
import { requireFreePort } from './free-port.ts';
import { natsServerPath, natsServerVersion } from './nats-binary.ts';
import { logTail, type NatsProcess, spawnNats } from './nats-process.ts';

export interface NatsChildOptions {
  /** Configuration, log and JetStream's files lie here; kept over restarts. */
  readonly dir: string;
  readonly host: string;
  readonly port: number;
  /** The program; default: the one that `natsServerPath` finds. */
  readonly binary?: string;
  /** Sync each write, where the server can (2.10); default true. Without it a power cut may lose the last writes. */
  readonly syncAlways?: boolean;
  /** Told when the server ended unasked and was started again, or could not be (then `error` says why). */
  readonly onCrash?: (what: string, error?: HiveError) => void;
  readonly clock?: Clock;
}

/** The embedded mode's own nats-server. Disposing it ends it; it never outlives this process. */
export interface NatsChild extends AsyncDisposable {
  readonly url: string;
  readonly version: string;
  /** Base URL of its monitoring port; another one after a crash. */
  readonly monitoring: string;
  /** Does it sync each write before it acknowledges? As the server itself says. */
  readonly syncsEachWrite: boolean;
  readonly pid: number;
}

/** Crashes in a row, each within `CRASH_WINDOW_MS` of a start, after which it is not started again. */
const MAX_CRASHES = 3;
const CRASH_WINDOW_MS = 60_000;
/** Between SIGTERM and SIGKILL. */
const STOP_MS = 10_000;

/**
 * Starts a nats-server with JetStream in `dir`.
 * @throws HiveError FAILED_PRECONDITION when the program is too old or the folder is another server's, NOT_FOUND when
 * there is no program, UNAVAILABLE when the port is taken (saying by what) or the server does not come up.
 */
export async function startNatsChild(options: NatsChildOptions): Promise<NatsChild> {
  const { dir, host, port } = options;
  const binary = options.binary ?? natsServerPath();
  const version = await natsServerVersion(binary);
  requireVersion(binary, version);
  mkdirSync(dir, { recursive: true });
  requireOwnFolder(dir);
  await requireFreePort(host, port, '--port');
  const start = (onPort: number) => {
    writeFileSync(join(dir, 'nats.conf'), configText(options, onPort, version));
    return spawnNats(binary, dir);
  };
  const keeper = new Keeper(await start(port === 0 ? -1 : port), start, options);
  const syncsEachWrite = await readSyncAlways(keeper.monitoring);
  return {
    url: `nats://${host}:${keeper.port}`,
    version,
    syncsEachWrite,
    get monitoring() {
      return keeper.monitoring;
    },
    get pid() {
      return keeper.pid;
    },
    [Symbol.asyncDispose]: () => keeper.stop(),
  };
}

/** Starts the server again when it ends unasked: its clients reconnect by themselves, and its files are all there. */
class Keeper {
  readonly port: number;
  readonly #start: (port: number) => Promise<NatsProcess>;
  readonly #options: NatsChildOptions;
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  readonly #keeping: Promise<void>;
  #process: NatsProcess;

  constructor(process: NatsProcess, start: (port: number) => Promise<NatsProcess>, options: NatsChildOptions) {
    this.port = process.port;
    this.#process = process;
    this.#start = start;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#keeping = this.#keep();
  }

  get pid(): number {
    return this.#process.pid;
  }

  get monitoring(): string {
    return this.#process.monitoring ?? '';
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#process.signal('SIGTERM');
    // One that is stopped or hangs, on a disk that is full for one, hears no SIGTERM; what it acknowledged is written.
    using _kill = this.#clock.after(STOP_MS, () => this.#process.signal('SIGKILL'));
    await this.#keeping;
  }

  async #keep(): Promise<void> {
    const { dir, onCrash } = this.#options;
    const { signal } = this.#stopping;
    for (let crashes = 0; ; ) {
      const startedAt = this.#clock.monotonic();
      const reason = await this.#process.exited;
      if (signal.aborted) return;
      crashes = this.#clock.monotonic() - startedAt > CRASH_WINDOW_MS ? 1 : crashes + 1;
      const what = `nats-server ended unasked (${reason})`;
      try {
        if (crashes > MAX_CRASHES)
          throw new HiveError('UNAVAILABLE', `${what} too often; its log ends with:\n${logTail(dir)}`);
        await pause(this.#clock, 100 * (crashes - 1), signal);
        if (signal.aborted) return;
        this.#process = await this.#start(this.port);
        if (signal.aborted) this.#process.signal('SIGTERM');
        onCrash?.(`${what} and was started again`);
      } catch (error) {
        onCrash?.(what, HiveError.from(error));
        return;
      }
    }
  }
}

function requireVersion(binary: string, version: string): void {
  if (isAtLeast(version, OLDEST_NATS_SERVER)) return;
  const message = `${binary} is version ${version}, Hivebus needs ${OLDEST_NATS_SERVER} or later; name another one by HIVEBUS_NATS_SERVER`;
  throw new HiveError('FAILED_PRECONDITION', message);
}

/** Two servers on the same files would destroy them. A dead one's pid may be somebody else's by now. */
function requireOwnFolder(dir: string): void {
  const pid = Number(readText(join(dir, 'nats.pid')) || Number.NaN);
  const command = Number.isInteger(pid) ? readText(`/proc/${pid}/cmdline`) : '';
  if (!command.includes(join(dir, 'nats.conf'))) return;
  const message = `${dir} is used by a nats-server that runs (pid ${pid}); stop it, or use it with --nats URL`;
  throw new HiveError('FAILED_PRECONDITION', message);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

function configText({ dir, host, syncAlways = true }: NatsChildOptions, port: number, version: string): string {
  // Servers before 2.10 do not know the setting and would ignore it in silence.
  const sync = syncAlways && isAtLeast(version, '2.10.0') ? ', sync_interval: always' : '';
  return [
    '# Written by hivebus at each start.',
    'server_name: hivebus-embedded',
    `host: ${JSON.stringify(host)}`,
    `port: ${port}`,
    'http: "127.0.0.1:-1"',
    `ports_file_dir: ${JSON.stringify(dir)}`,
    `pid_file: ${JSON.stringify(join(dir, 'nats.pid'))}`,
    // By default three quarters of what is free at its start, beyond which it leaves out streams that it has.
    `jetstream { store_dir: ${JSON.stringify(dir)}, max_file_store: ${diskOf(dir).size}${sync} }`,
    '',
  ].join('\n');
}

/** Settings that a server does not know it ignores: so it is asked. */
async function readSyncAlways(monitoring: string): Promise<boolean> {
  const response = await fetch(`${monitoring}/jsz`);
  const jsz = (await response.json()) as { config?: { sync_always?: boolean } };
  return jsz.config?.sync_always === true;
}
