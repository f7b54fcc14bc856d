import { spawn, spawnSync } from 'node:child_process';
import { accessSync, appendFileSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

const KILL_AFTER_MS = 5000;

/**
 * Like `run`, in a process group of its own that ends before we do when we are interrupted, so that nothing goes on
 * writing behind the back of the next setup. The lock holds for the group, too: should we be killed, the next one waits.
 */
export async function runAsGroup(program, args, options = {}) {
  let child;
  let interruption;
  let kill;
  const interrupt = (signal) => {
    if (interruption) return;
    interruption = signal;
    signalGroup(child.pid, 'SIGTERM'); // npm may take back what it has begun
    kill = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), KILL_AFTER_MS);
  };
  for (const signal of INTERRUPTIONS) process.on(signal, interrupt);
  try {
    child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
    if (child.pid) appendFileSync(lockFile, ` ${child.pid}`);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const why = await new Promise((resolve) => {
      child.once('error', ({ message }) => resolve(message));
      child.once('close', (code, signal) => resolve(signal ? `signal ${signal}` : code && `exit code ${code}`));
    });
    if (interruption) throw Object.assign(new Failure('interrupted'), { exitCode: 130 });
    if (why) throw new Failure(`${[program, ...args].join(' ')} failed (${why}):\n${output}`);
  } finally {
    clearTimeout(kill);
    for (const signal of INTERRUPTIONS) process.off(signal, interrupt);
  }
}

const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has just ended
  }
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

const lockFile = join(root, '.setup.lock');

/** Two runs at once: the second waits, then finds everything done. A lock of dead processes is taken over. */
export async function withLock(work) {
  for (let waited = false; !tryLock(); waited = true) {
    if (!waited) say('another setup is running, waiting for it');
    if (!readPids().some(isAlive)) rmSync(lockFile, { force: true });
    else await sleep(100);
  }
  try {
    await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

function tryLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw new Failure(`cannot write to ${root}: ${error.message}`);
  }
}

/** Who holds the lock: a setup, and what it runs. */
function readPids() {
  try {
    return readFileSync(lockFile, 'utf8').split(' ').map(Number).filter(Boolean);
  } catch {
    return []; // it was let go just now
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Dead, and kept by the system since nobody asked how it ended: in containers that may stay so. */
function isZombie(pid) {
  try {
    return /^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false; // no Linux
  }
}
