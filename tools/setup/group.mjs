import { spawn } from 'node:child_process';
import { Failure } from './common.mjs';

const KILL_AFTER_MS = 5000;
const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs a program to its end, in a process group of its own that ends before we do when we are interrupted, so that
 * nothing goes on writing behind our back. `onStart` is told its pid; after `limitMs` (default: none) the group is ended.
 * Its output is returned, or told in the Failure.
 */
export async function runAsGroup(program, args, { limitMs, onStart = () => {}, ...options } = {}) {
  let child;
  let ending;
  let kill;
  const end = (reason) => {
    if (ending || !child.pid) return;
    ending = reason;
    signalGroup(child.pid, 'SIGTERM'); // it may take back what it has begun
    kill = setTimeout(() => {
      signalGroup(child.pid, 'SIGKILL');
      for (const stream of [child.stdout, child.stderr]) stream.destroy(); // whoever left the group may hold them
    }, KILL_AFTER_MS);
  };
  for (const signal of INTERRUPTIONS) process.on(signal, end);
  let limit;
  try {
    child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
    if (child.pid) onStart(child.pid);
    if (limitMs !== undefined) limit = setTimeout(() => end('limit'), limitMs);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    }
    const why = await new Promise((resolve) => {
      child.once('error', ({ message }) => resolve(message));
      child.once('close', (code, signal) => resolve(signal ? `signal ${signal}` : code && `exit code ${code}`));
    });
    if (ending && ending !== 'limit') throw Object.assign(new Failure('interrupted'), { exitCode: 130, output });
    const reason = ending ? `no end after ${limitMs / 1000} s, it was killed` : why;
    if (reason) throw new Failure(`${[program, ...args].join(' ')} failed (${reason}):\n${output}`);
    return output;
  } finally {
    if (ending) signalGroup(child.pid, 'SIGKILL');
    clearTimeout(limit);
    clearTimeout(kill);
    for (const signal of INTERRUPTIONS) process.off(signal, end);
  }
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch {
    // it has just ended
  }
}
