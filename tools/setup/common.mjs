import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What a user can act on: told in one line, without a stack. */
export class Failure extends Error {}

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

/** Two runs at once: the second waits, then finds everything done. A lock of a dead process is taken over. */
export async function withLock(work) {
  const lock = join(root, '.setup.lock');
  for (let waited = false; !tryLock(lock); waited = true) {
    if (!waited) say('another setup is running, waiting for it');
    if (!isAlive(readPid(lock))) rmSync(lock, { force: true });
    else await sleep(100);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function tryLock(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw new Failure(`cannot write to ${root}: ${error.message}`);
  }
}

function readPid(lock) {
  try {
    return Number(readFileSync(lock, 'utf8'));
  } catch {
    return 0; // it was let go just now
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}
