import { execFileSync, spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { HiveError } from '../kernel/errors.ts';

/**
 * Hosts on one switch, each a network namespace with a cable of its own (a veth pair); this process and its children
 * are on the switch as well. The switch has a namespace of its own, since Docker lets no bridge of ours pass packets
 * on. Linux, root and iproute2.
 */
export interface Network extends Disposable {
  /** The hosts' addresses. */
  readonly hosts: readonly string[];
  /** What to put before a command, so that it runs on this host. */
  within(host: number): readonly string[];
  /** Pulls the host's cable. */
  pull(host: number): void;
  /** The host does not reach the other hosts any more, and is reached from the switch. */
  separate(host: number): void;
  /** Undoes both. */
  heal(host: number): void;
}

/** Why no network can be made here; undefined when it can. */
export function noNetwork(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are Linux only';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const name = `hive${process.pid}-try`;
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' });
  if (made.error || made.status !== 0) {
    return `network namespaces cannot be made: ${made.error?.message ?? made.stderr.trim()}`;
  }
  ip('netns', 'del', name);
  return undefined;
}

export function startNetwork(size: number): Network {
  const id = `hive${randomInt(10_000)}`;
  const net = `10.${randomInt(200, 250)}.${randomInt(256)}`;
  const all = Array.from({ length: size }, (_, i) => i);
  const hosts = all.map((i) => `${net}.${i + 1}`);
  const space = (i: number) => `${id}-${i}`;
  const plug = (i: number) => `port${i}`;
  const others = (i: number) => hosts.filter((_, j) => j !== i);
  const hub = `${id}-hub`;
  const remove = () => {
    for (const name of [hub, ...all.map(space)]) spawnSync('ip', ['netns', 'del', name]); // with all that is in it
  };
  try {
    ip('netns', 'add', hub);
    ip('-n', hub, 'link', 'add', 'switch', 'type', 'bridge');
    ip('-n', hub, 'link', 'set', 'switch', 'up');
    ip('link', 'add', id, 'type', 'veth', 'peer', 'name', 'here', 'netns', hub);
    ip('addr', 'add', `${net}.254/24`, 'dev', id);
    ip('link', 'set', id, 'up');
    ip('-n', hub, 'link', 'set', 'here', 'master', 'switch', 'up');
    for (const i of all) {
      ip('netns', 'add', space(i));
      ip('-n', hub, 'link', 'add', plug(i), 'type', 'veth', 'peer', 'name', 'cable', 'netns', space(i));
      ip('-n', hub, 'link', 'set', plug(i), 'master', 'switch', 'up');
      ip('-n', space(i), 'addr', 'add', `${hosts[i]}/24`, 'dev', 'cable');
      for (const device of ['lo', 'cable']) ip('-n', space(i), 'link', 'set', device, 'up');
    }
  } catch (error) {
    remove();
    throw error;
  }
  return {
    hosts,
    within: (i) => ['ip', 'netns', 'exec', space(i)],
    pull: (i) => ip('-n', hub, 'link', 'set', plug(i), 'down'),
    separate: (i) => {
      for (const other of others(i)) ip('-n', space(i), 'route', 'replace', 'blackhole', `${other}/32`);
    },
    heal: (i) => {
      ip('-n', hub, 'link', 'set', plug(i), 'up');
      for (const other of others(i)) spawnSync('ip', ['-n', space(i), 'route', 'del', 'blackhole', `${other}/32`]);
    },
    [Symbol.dispose]: remove,
  };
}

function ip(...args: string[]): void {
  try {
    execFileSync('ip', args, { stdio: 'pipe' });
  } catch (cause) {
    throw new HiveError('FAILED_PRECONDITION', `ip ${args.join(' ')}: ${(cause as Error).message}`, { cause });
  }
}
