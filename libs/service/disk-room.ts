import { statfsSync } from 'node:fs';
import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';

/** Less than so many bytes free, and nothing is started: snapshots and logs would fill it soon. */
const ENOUGH_BYTES = 64 << 20;
/** Less than so many bytes free, and everything is ended: a nats-server that cannot write hangs, or gives JetStream up. */
const TOO_LITTLE_BYTES = 16 << 20;
const LOOK_MS = 1000;

/** What a disk has, in bytes. */
interface Disk {
  readonly size: number;
  /** For who is not root. */
  readonly free: number;
}

export type LookAtDisk = (folder: string) => Disk;

/** Of the disk on which `folder` lies. */
export const diskOf: LookAtDisk = (folder) => {
  const { bsize, blocks, bavail } = statfsSync(folder);
  return { size: blocks * bsize, free: bavail * bsize };
};

/** Throws RESOURCE_EXHAUSTED when there is too little room to begin with. */
export function requireRoom(folder: string, look = diskOf): void {
  const { free } = look(folder);
  if (free < ENOUGH_BYTES) throw diskFull(folder, free, 'nothing is started');
}

/** Calls `onFull` once when the disk is about to be full; until `signal` aborts. */
export async function watchRoom(
  folder: string,
  options: { clock: Clock; signal: AbortSignal; onFull: (error: HiveError) => void; look?: LookAtDisk },
): Promise<void> {
  const { clock, signal, onFull, look = diskOf } = options;
  while (!signal.aborted) {
    const { free } = look(folder);
    if (free < TOO_LITTLE_BYTES)
      return onFull(diskFull(folder, free, 'everything is stopped, and what was acknowledged is kept'));
    await pause(clock, LOOK_MS, signal);
  }
}

function diskFull(folder: string, free: number, done: string): HiveError {
  const room = `the disk of ${folder} has ${Math.floor(free / (1 << 20))} MiB left`;
  const what = `${room}, and Hivebus needs ${ENOUGH_BYTES >> 20}: ${done}; free some, and start it again`;
  return new HiveError('RESOURCE_EXHAUSTED', what, { reason: 'DISK_FULL' });
}
