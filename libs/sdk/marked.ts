import { readdirSync, readFileSync } from 'node:fs';

/** The variable whose value says which attempt a process was started by; whatever that starts inherits it. */
export const MARK = 'HIVEBUS_TASK_MARK';

/** A process may start another while it is looked for: so many looks, until none is found. */
const MAX_LOOKS = 20;

/**
 * Kills what has left its process group (by setsid, as daemons do) and still bears the attempt's mark. `leader` is the
 * process that began the attempt. Where there is no /proc nothing is found: only the group ends there.
 */
export function killMarked(mark: string, leader: number): void {
  for (let look = 0; look < MAX_LOOKS; look++) {
    const found = startedSince(leader).filter((pid) => environmentOf(pid).includes(`${MARK}=${mark}\0`));
    if (found.length === 0) return;
    for (const pid of found) kill(pid);
  }
}

/** Process ids rise until they begin anew: what a process started has a higher one, or one up to the newest. */
function startedSince(leader: number): number[] {
  const newest = Number(read('/proc/loadavg').trim().split(' ').at(-1));
  const hasWrapped = newest < leader;
  return processes().filter((pid) => (pid > leader ? hasWrapped || pid <= newest : hasWrapped && pid <= newest));
}

function processes(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Empty for one that has ended, or is another user's. */
const environmentOf = (pid: number): string => read(`/proc/${pid}/environ`);

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended meanwhile
  }
}
