import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { randomId } from '../kernel/ids.ts';
import { killMarked, MARK } from './marked.ts';

/**
 * Kills process groups when their owner dies, however it dies.
 *
 * The idea: a tiny shell holds one end of a pipe whose other end this process holds. The kernel closes that end even
 * after SIGKILL; the shell reads end-of-file and kills every group that it was told of. A group registers itself as the
 * first thing it does (see REGISTER), over a copy of the pipe that it then closes: were the owner to die between
 * starting it and saying so, the pipe would not be at its end before the group has registered.
 * `PR_SET_PDEATHSIG` was refused: it reaches the direct child only, and only on Linux. What leaves its group is found
 * by a mark in its environment, where there is /proc.
 */
const WATCH = `
trap '' HUP INT TERM
groups=' '
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) case $groups in *" $group "*) groups="\${groups%% $group *} \${groups#* $group }" ;; esac ;;
  esac
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
for file in $(grep -lz "^${MARK}=$1[.]" /proc/[0-9]*/environ 2>/dev/null); do
  process=\${file#/proc/}
  kill -KILL "\${process%/environ}" 2>/dev/null
done
exit 0
`;

/** First words of a guarded command: the shell's own pid is its group's, for it is started as a session leader. */
const REGISTER = `printf '+ %s\\n' "$$" >&3; exec 3>&-; exec "$@"`;

export class Guardian implements Disposable {
  /** Process groups that run, each with its mark. */
  readonly #groups = new Map<number, string>();
  readonly #name = randomId();
  #started = 0;
  #shell: ChildProcess | undefined;
  #closed = false;

  /** Starts `command` in a process group of its own that does not outlive this process. */
  spawn(command: readonly string[], options: { env: NodeJS.ProcessEnv; cwd?: string | undefined }): ChildProcess {
    const mark = `${this.#name}.${++this.#started}`;
    const child = spawn('/bin/sh', ['-c', REGISTER, 'hivebus-task', ...command], {
      ...options,
      env: { ...options.env, [MARK]: mark },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', this.#pipe()],
    });
    if (child.pid !== undefined) this.#groups.set(child.pid, mark);
    return child;
  }

  /** Kills what the group's processes have started outside of it. */
  killOutsiders(group: number): void {
    const mark = this.#groups.get(group);
    if (mark !== undefined) killMarked(mark, group);
  }

  /** The group has ended: its number may soon be another's. */
  release(group: number): void {
    if (this.#groups.delete(group)) this.#shell?.stdin?.write(`- ${group}\n`);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#shell?.stdin?.end();
  }

  #pipe(): Writable {
    this.#shell ??= this.#watch();
    return this.#shell.stdin as Writable;
  }

  #watch(): ChildProcess {
    const shell = spawn('/bin/sh', ['-c', WATCH, 'hivebus-guardian', this.#name], {
      // Started by a task itself, it must not end with that: it has to outlive us.
      env: { ...process.env, [MARK]: undefined },
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    shell.unref();
    const pipe = shell.stdin as Socket;
    pipe.unref();
    pipe.on('error', () => {});
    shell.on('error', () => {});
    shell.once('exit', () => {
      this.#shell = undefined;
      // Somebody killed the guardian: what runs needs another.
      if (!this.#closed && this.#groups.size > 0) this.#shell = this.#watch();
    });
    for (const group of this.#groups.keys()) shell.stdin?.write(`+ ${group}\n`);
    return shell;
  }
}
