import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What a user can act on: told in one line, without a stack. */
export class Failure extends Error {
  exitCode = 1;
}

export const say = (text) => console.error(`setup: ${text}`);

/** Runs a program to its end; its output is shown only in the failure. */
export function run(program, args, options = {}) {
  const result = tryRun(program, args, options);
  if (result.ok) return result.output;
  throw new Failure(`${[program, ...args].join(' ')} failed (${result.why}):\n${result.output}`);
}

export function tryRun(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`;
  const why = result.error?.message ?? (result.signal ? `signal ${result.signal}` : `exit code ${result.status}`);
  return { ok: result.status === 0, output, why };
}

/** Folders for what setup fetches, best first: the user's cache, else the package's own. libs/service knows them too. */
export const cacheFolders = () => [
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hivebus'),
  join(root, 'node_modules', '.cache', 'hivebus'),
];

export function writableCache() {
  for (const folder of cacheFolders()) {
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
      return folder;
    } catch {
      // the next one
    }
  }
  throw new Failure(
    `cannot write to any of ${cacheFolders().join(', ')}: set XDG_CACHE_HOME to a folder you may write`,
  );
}
