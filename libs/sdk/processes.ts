import { readdirSync, readFileSync } from 'node:fs';

/** What /proc says of processes; where there is none (macOS) nothing is found. */

/** Ids of the processes that may have been started since `leader`: ids rise until they begin anew. */
export function startedSince(leader: number): number[] {
  const newest = Number(readProc('loadavg').trim().split(' ').at(-1));
  const hasWrapped = newest < leader;
  return processIds().filter((pid) => (pid > leader ? hasWrapped || pid <= newest : hasWrapped && pid <= newest));
}

/** Empty when it is not there, or another user's. */
export function readProc(file: string): string {
  try {
    return readFileSync(`/proc/${file}`, 'latin1');
  } catch {
    return '';
  }
}

/**
 * Does anybody in the process group still run? Who has ended stays in it as a zombie until its parent asks for its exit
 * code, which an init process in a container may do late or never. True where it cannot be told.
 */
export function runsInGroup(group: number): boolean {
  const members = [group, ...startedSince(group)].map((pid) => readProc(`${pid}/stat`)).filter((stat) => stat !== '');
  if (members.length === 0) return processIds().length === 0;
  return members.some((stat) => {
    // `pid (name) state ppid pgrp ...`; a name may have spaces and brackets.
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(pgrp) === group && state !== 'Z' && state !== 'X';
  });
}

function processIds(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}
