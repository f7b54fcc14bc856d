import { readProc, startedSince } from './processes.ts';

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

/** Empty for one that has ended, or is another user's. */
const environmentOf = (pid: number): string => readProc(`${pid}/environ`);

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended meanwhile
  }
}
