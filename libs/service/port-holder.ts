import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const LISTEN = '0A';
const MAX_COMMAND = 80;

/**
 * Who listens on a TCP port of this machine, e.g. `pid 812 (nats-server -js)`; undefined where that cannot be known: on
 * macOS, or when it is another user's.
 */
export function portHolder(port: number): string | undefined {
  const inode = inodeOf(port);
  const pid = inode && pidOf(`socket:[${inode}]`);
  if (!pid) return undefined;
  const command = text(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  return `pid ${pid} (${command.length > MAX_COMMAND ? `${command.slice(0, MAX_COMMAND - 1)}…` : command})`;
}

/** Lines of /proc/net/tcp: number, local address:port in hexadecimal, remote, state, …, inode. */
function inodeOf(port: number): string | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of text(file).split('\n')) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTEN && local?.endsWith(suffix)) return inode;
    }
  }
  return undefined;
}

function pidOf(socket: string): string | undefined {
  const pids = entries('/proc').filter((name) => /^\d+$/.test(name));
  return pids.find((pid) => entries(`/proc/${pid}/fd`).some((fd) => target(`/proc/${pid}/fd/${fd}`) === socket));
}

const text = (file: string): string => quiet(() => readFileSync(file, 'utf8'), '');
const entries = (folder: string): string[] => quiet(() => readdirSync(folder), []);
const target = (link: string): string => quiet(() => readlinkSync(link), '');

/** Processes end while they are looked at, and those of others may not be looked at. */
function quiet<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
