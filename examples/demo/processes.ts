import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { text as buffered } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Guardian } from '../../libs/sdk/guardian.ts';

const CLI = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const STOP_MS = 8000;

/** The `hivebus` processes of the demo: none outlives it, however it ends. */
export class Processes implements AsyncDisposable {
  readonly #guardian = new Guardian();
  readonly #children: ChildProcess[] = [];
  readonly #logs: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(logs: string, env: NodeJS.ProcessEnv) {
    this.#logs = logs;
    this.#env = env;
  }

  /** Starts `hivebus ARGS…`; what it says on standard error goes to a file of that name. */
  start(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const options = { env: { ...this.#env, ...env }, cwd: this.#logs };
    const child = this.#guardian.spawn([process.execPath, CLI, ...args], options);
    child.stdin?.on('error', () => {}).end();
    child.stderr?.pipe(createWriteStream(join(this.#logs, `${name}.log`)));
    child.once('exit', () => child.pid && this.#guardian.release(child.pid));
    this.#children.push(child);
    return child;
  }

  /** Runs `hivebus ARGS…` to its end; gives what it says on standard output, for a width of 110 characters. */
  async run(name: string, args: readonly string[]): Promise<string> {
    const child = this.start(name, args, { COLUMNS: '110', NO_COLOR: '1' });
    const text = child.stdout ? buffered(child.stdout) : Promise.resolve('');
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`hivebus ${args.join(' ')} ended with exit code ${code}`);
    return text;
  }

  /** SIGTERM to the last started first, SIGKILL to what does not heed it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const late = new AbortController();
      const kill = sleep(STOP_MS, undefined, { signal: late.signal }).then(
        () => child.kill('SIGKILL'),
        () => {},
      );
      await exited;
      late.abort();
      await kill;
    }
    this.#guardian[Symbol.dispose]();
  }
}

/** The first complete JSON value that a process prints on standard output. Rejects when it ends without one. */
export function firstJson<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk) => {
      text += chunk;
      try {
        resolve(JSON.parse(text) as T);
      } catch {
        // not complete yet
      }
    });
    child.once('exit', (code, signal) => reject(new Error(`it ended with ${signal ?? `exit code ${code}`}`)));
  });
}
