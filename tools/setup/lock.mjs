import { randomBytes } from 'node:crypto';
import { appendFileSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure, root, say } from './common.mjs';

/**
 * One setup at a time. A lock is a file `<pid>-<random> [<pid>...]`: who made it, then what that runs.
 *
 * The idea: a lock is made whole, by a hard link, so nobody reads half of one. One whose processes are dead is removed,
 * but only by who holds a second lock that is named after the first: between reading and removing, somebody else may
 * have done the same and made a new one, and that must stay. A removal that was cut short by death is taken over alike.
 */
const lockFile = join(root, '.setup.lock');

/** Two runs at once: the second waits, then finds everything done. A lock of dead processes is taken over. */
export async function withLock(work) {
  for (let waited = false; !tryLock(lockFile); waited = true) {
    const holder = readLock(lockFile);
    if (!holder) continue; // it was let go just now
    const living = holder.pids.filter(isAlive);
    if (living.length === 0) removeDead(lockFile, holder.id);
    else if (!waited) {
      say(`another setup is running (process ${living}), waiting for it; if that is none, remove ${lockFile}`);
    }
    await sleep(living.length === 0 ? 5 : 100);
  }
  try {
    await work();
  } finally {
    rmSync(lockFile, { force: true });
  }
}

/** Makes the lock hold for another process, too: should we be killed, the next setup waits for that one. */
export const lockFor = (pid) => appendFileSync(lockFile, ` ${pid}`);

function tryLock(file) {
  const id = `${process.pid}-${randomBytes(6).toString('hex')}`;
  const made = `${lockFile}.${id}`;
  try {
    writeFileSync(made, id);
    linkSync(made, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw new Failure(`cannot write to ${root}: ${error.message}`);
  } finally {
    rmSync(made, { force: true });
  }
}

/** Removes `file` if it still is the lock `id`; nothing happens while somebody else is about to. */
function removeDead(file, id) {
  const removal = `${file}.${id}`;
  if (!tryLock(removal)) {
    const holder = readLock(removal);
    if (holder && !holder.pids.some(isAlive)) removeDead(removal, holder.id);
    return;
  }
  if (readLock(file)?.id === id) rmSync(file);
  rmSync(removal);
}

/** Undefined when there is none. */
function readLock(file) {
  try {
    const words = readFileSync(file, 'utf8').split(' ');
    const id = words[0].replaceAll(/[^-\w]/g, '').slice(0, 64); // it becomes part of a file's name
    return { id, pids: words.map((word) => Number.parseInt(word, 10)).filter(Boolean) };
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw new Failure(`cannot read ${file}: ${error.message}`);
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
