import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from './harness.ts';
import { compiled, startProgram } from './processes.ts';

/** Once, 30 to 40 s after its start, it works for a fifth of a second. */
const SETTLE_MS = 60_000;
const WATCH_MS = 30_000;
const MOST_MB = 150;
const MOST_PERCENT = 1;
/** What the kernel counts processor time in: USER_HZ, 100 everywhere that matters. */
const TICKS_PER_S = 100;

/** `hivebus up` as users start it, with nothing to do. */
export async function atRestRows(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'hivebus-rest-'));
  try {
    await using up = startProgram(compiled('../bin/hivebus'), [
      ...['up', '--data', folder, '--port', '0', '--grpc-port', '0'],
    ]);
    await up.says('Hivebus is up');
    const nats = childOf(up.pid, 'nats-server');
    await sleep(SETTLE_MS);
    const before = [up.pid, nats].map(processorTicks) as [number, number];
    await sleep(WATCH_MS);
    const after = [up.pid, nats].map(processorTicks) as [number, number];
    const percent = (i: 0 | 1) => ((after[i] - before[i]) / TICKS_PER_S / (WATCH_MS / 1000)) * 100;
    const [node, server] = [residentMb(up.pid), residentMb(nats)];
    return [
      row(
        'memory',
        `${node.toFixed(0)} MB (nats-server ${server.toFixed(0)} MB)`,
        `under ${MOST_MB} MB`,
        node < MOST_MB,
      ),
      row(
        'processor',
        `${percent(0).toFixed(2)}% of a core (nats-server ${percent(1).toFixed(2)}%)`,
        `under ${MOST_PERCENT}%`,
        percent(0) < MOST_PERCENT,
      ),
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const row = (what: string, measured: string, target: string, ok: boolean): Row => ({
  what: `all-in-one at rest: ${what}`,
  floor: '',
  measured,
  ratio: '',
  target,
  ok,
});

/** Fields of /proc/PID/stat after the name, which may hold anything. */
const stat = (pid: number): string[] =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');

/** User and system time. */
const processorTicks = (pid: number): number => Number(stat(pid)[11]) + Number(stat(pid)[12]);

const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

function childOf(parent: number, program: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.map(Number).find((pid) => isChild(pid, parent, program));
  if (found === undefined) throw new Error(`process ${parent} has no child ${program}`);
  return found;
}

function isChild(pid: number, parent: number, program: string): boolean {
  try {
    return Number(stat(pid)[1]) === parent && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === program;
  } catch {
    return false; // it has ended meanwhile
  }
}
