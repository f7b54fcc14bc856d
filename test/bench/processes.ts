import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnTied } from '../../libs/service/tied-process.ts';
import { until } from '../../libs/testkit/until.ts';

/** A program as users run it, in a process of its own, which ends with ours. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** Resolves when it is gone. */
  readonly exited: Promise<void>;
  /** What it has said so far. */
  said(): string;
  /** Waits until it says `text`; throws when it ends without. */
  says(text: string): Promise<void>;
  signal(name: NodeJS.Signals): void;
}

const DIST = fileURLToPath(new URL('../../', import.meta.url));
const START_MS = 60_000;

/** A file of the compiled tree, e.g. `services/registry/main.js`. */
export const compiled = (path: string): string => join(DIST, path);

/** Runs `node ARGS…` with `env` on top of ours. */
export const startNode = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Program =>
  startProgram(process.execPath, args, env);

/** Runs `PROGRAM ARGS…` with `env` on top of ours. */
export function startProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Program {
  const folder = mkdtempSync(join(tmpdir(), 'hivebus-bench-'));
  const file = join(folder, 'out');
  const output = openSync(file, 'a');
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const child = spawnTied('env', [...variables, program, ...args], output);
  closeSync(output);
  let gone = false;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => {
      gone = true;
      resolve();
    });
  });
  const said = () => readFileSync(file, 'utf8');
  return {
    pid: child.pid as number,
    exited,
    said,
    async says(text) {
      await until(() => gone || said().includes(text), START_MS);
      if (!said().includes(text))
        throw new Error(`${program} ${args.join(' ')} ended without saying '${text}':\n${said()}`);
    },
    signal: (name) => void child.kill(name),
    async [Symbol.asyncDispose]() {
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
