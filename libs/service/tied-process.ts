import { type ChildProcess, spawn } from 'node:child_process';

/**
 * The shell leaves a watcher behind that waits for the end of a pipe whose other end only we hold, and becomes the
 * program. When we die, SIGKILL included, the kernel closes our end and the watcher kills the program; there is no
 * moment without it. Chosen over the kernel's parent-death signal, which is Linux's alone and ends with the thread.
 */
const WATCHED = 'exec 3<&0 </dev/null; { read -r _ <&3 || kill -KILL $$; } & exec 3<&-; exec "$@"';

/**
 * Runs a program that does not outlive this process, however that ends. Its output goes to the open file `output`.
 * It has a process group of its own: a Ctrl-C in the terminal reaches us, and we stop it when we are ready.
 */
export function spawnTied(program: string, args: readonly string[], output: number): ChildProcess {
  const child = spawn('/bin/sh', ['-c', WATCHED, 'sh', program, ...args], {
    stdio: ['pipe', output, output],
    detached: true,
  });
  child.stdin?.on('error', () => {}); // both are gone already
  // A word instead of the end: the number may belong to another process by now.
  child.once('exit', () => child.stdin?.end('over\n'));
  return child;
}
