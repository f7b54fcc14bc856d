import { readFileSync } from 'node:fs';
import { HiveError } from '../libs/kernel/errors.ts';
import { readRun } from './run-file.ts';

/**
 * Refuses to start a second Hivebus on one folder, before anything is touched.
 * @throws HiveError FAILED_PRECONDITION with the first one's pid and addresses.
 */
export function requireNoneUp(data: string): void {
  const run = readRun(data);
  if (!run || !isHivebus(run.pid)) return;
  const addresses = `nats ${run.nats}, grpc ${run.grpc}`;
  const message = `Hivebus is already up in ${data}: pid ${run.pid}, ${addresses}; use it, or stop it with \`kill ${run.pid}\``;
  throw new HiveError('FAILED_PRECONDITION', message, { reason: 'ALREADY_UP' });
}

/** The pid of one that was killed may be somebody else's by now: where it can be known, its command must be ours. */
function isHivebus(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  try {
    return /\0up(\0|$)/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return true; // there is no /proc
  }
}
