import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type Clock, pause } from '../kernel/clock.ts';
import { runsInGroup } from './processes.ts';

/** How often a group that was asked to end is looked at. */
const LOOK_MS = 25;
/** How long killed processes may take to go; longer only those that hang in the kernel, or that are not ours to kill. */
const GOING_MS = 5000;
/** How long a pipe may stay open after the group's end: somebody left the group and kept it. */
const LINGER_MS = 1000;

/** Sends a signal to every process of a group; false when the group is empty. */
function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    // EPERM: there is somebody, only not ours to signal (a set-user-id program).
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const isLeft = (group: number): boolean => signalGroup(group, 0) && runsInGroup(group);

export interface GroupOptions {
  /** The group is to end. */
  readonly signal: AbortSignal;
  /** The group must be gone at once. */
  readonly kill?: AbortSignal | undefined;
  /** Between SIGTERM and SIGKILL, in milliseconds. */
  readonly graceMs: number;
  readonly clock: Clock;
  readonly killOutsiders: () => void;
}

/**
 * Waits until the leader of a process group has ended and its group with it, output read to the end.
 *
 * On `signal` the whole group gets SIGTERM, and SIGKILL when it is not gone after `graceMs`. When the leader ends by
 * itself, what it left running in its group is killed at once, and waited for: a task ends when its command does, and
 * its next attempt meets nobody of this one. By `killOutsiders` what has left the group is killed, too.
 */
export async function groupEnd(
  leader: ChildProcess,
  options: GroupOptions,
): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  const { signal, graceMs, clock, killOutsiders } = options;
  const group = leader.pid as number;
  const killNow = () => signalGroup(group, 'SIGKILL');
  if (options.kill?.aborted) killNow();
  options.kill?.addEventListener('abort', killNow, { once: true });
  const closed = new Promise<void>((resolve) => leader.once('close', () => resolve()));
  let deadline: number | undefined;
  const stop = () => {
    deadline = clock.monotonic() + graceMs;
    signalGroup(group, 'SIGTERM');
    kill = clock.after(graceMs, () => signalGroup(group, 'SIGKILL'));
  };
  let kill: Disposable | undefined;
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });

  const [code, killedBy] = (await once(leader, 'exit')) as [number | null, NodeJS.Signals | null];
  signal.removeEventListener('abort', stop);
  if (deadline !== undefined) await emptied(group, deadline, clock);
  options.kill?.removeEventListener('abort', killNow);
  kill?.[Symbol.dispose]();
  signalGroup(group, 'SIGKILL');
  killOutsiders();
  await emptied(group, clock.monotonic() + GOING_MS, clock);
  await drained(leader, closed, clock);
  return { code, signal: killedBy };
}

/** Until nobody of the group runs, or it is too late by the monotonic clock. */
async function emptied(group: number, deadline: number, clock: Clock): Promise<void> {
  while (clock.monotonic() < deadline && isLeft(group)) await pause(clock, LOOK_MS);
}

/** Until the pipes are closed, or have been silent for a while since a process that left the group holds them. */
async function drained(leader: ChildProcess, closed: Promise<void>, clock: Clock): Promise<void> {
  let read = -1;
  let open = true;
  void closed.then(() => {
    open = false;
  });
  const bytes = () => byteCount(leader.stdout) + byteCount(leader.stderr);
  while (open && read !== bytes()) {
    read = bytes();
    const timeUp = new AbortController();
    await Promise.race([closed, pause(clock, LINGER_MS, timeUp.signal)]);
    timeUp.abort();
  }
  for (const pipe of leader.stdio.slice(1)) pipe?.destroy();
  await closed;
}

const byteCount = (stream: unknown): number => (stream as { bytesRead?: number } | null)?.bytesRead ?? 0;
