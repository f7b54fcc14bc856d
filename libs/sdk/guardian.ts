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
 *
 * A group that is held for a time only (`=`) is killed when that is over and it was not held anew: its owner may be
 * stopped, and then neither ends nor does anything. A second shell sleeps so long; the next `=` or `-` wakes it in vain.
 */
const WATCH = `
trap '' HUP INT TERM
groups=' '
kill_marked() {
  for file in $(grep -lz "^${MARK}=$1" /proc/[0-9]*/environ 2>/dev/null); do
    process=\${file#/proc/}
    kill -KILL "\${process%/environ}" 2>/dev/null
  done
}
forget_term() {
  eval "term=\\\${term_$1:-}"
  [ -z "$term" ] || kill -USR1 "$term" 2>/dev/null
  eval "term_$1="
}
while read -r sign group seconds mark; do
  case $sign in
    +) groups="$groups$group " ;;
    -)
      case $groups in *" $group "*) groups="\${groups%% $group *} \${groups#* $group }" ;; esac
      forget_term "$group"
      ;;
    =)
      forget_term "$group"
      (
        trap 'kill -KILL "$nap" 2>/dev/null; exit' USR1
        sleep "$seconds" & nap=$!
        wait "$nap" || exit
        kill -KILL "-$group" 2>/dev/null
        kill_marked "$mark$"
      ) < /dev/null &
      eval "term_$group=$!"
      ;;
  esac
done
for group in $groups; do
  kill -KILL "-$group" 2>/dev/null
  forget_term "$group"
done
kill_marked "$1[.]"
exit 0
`;

/** Where a command that resumes writes its checkpoints. */
export const CHECKPOINT_FD = 3;
/** Where the pipe for them is until the command is registered, of the child's descriptors. */
export const CHECKPOINT_PIPE = 4;

/** First words of a guarded command: the shell's own pid is its group's, for it is started as a session leader. */
const REGISTER = `printf '+ %s\\n' "$$" >&3; exec 3>&-; exec "$@"`;
const REGISTER_RESUMING = `printf '+ %s\\n' "$$" >&3; exec 3>&4 4>&-; exec "$@"`;

export interface GuardedOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string | undefined;
  /** It gets a pipe for checkpoints. */
  readonly resumes?: boolean;
}

export class Guardian implements Disposable {
  /** Process groups that run, each with its mark. */
  readonly #groups = new Map<number, string>();
  readonly #name = randomId();
  #started = 0;
  #shell: ChildProcess | undefined;
  #closed = false;

  /** Starts `command` in a process group of its own that does not outlive this process. */
  spawn(command: readonly string[], { env, cwd, resumes = false }: GuardedOptions): ChildProcess {
    const mark = `${this.#name}.${++this.#started}`;
    const first = resumes ? REGISTER_RESUMING : REGISTER;
    const child = spawn('/bin/sh', ['-c', first, 'hivebus-task', ...command], {
      cwd,
      env: { ...env, [MARK]: mark },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe', this.#pipe(), ...(resumes ? (['pipe'] as const) : [])],
    });
    if (child.pid !== undefined) this.#groups.set(child.pid, mark);
    return child;
  }

  /** Kills what the group's processes have started outside of it. */
  killOutsiders(group: number): void {
    const mark = this.#groups.get(group);
    if (mark !== undefined) killMarked(mark, group);
  }

  /** Kills the group when so much time is over, unless it is held anew before, or released; even if we are stopped. */
  hold(group: number, leftMs: number): void {
    const mark = this.#groups.get(group);
    if (mark !== undefined) this.#shell?.stdin?.write(`= ${group} ${(leftMs / 1000).toFixed(2)} ${mark}\n`);
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
