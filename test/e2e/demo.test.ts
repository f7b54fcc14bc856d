import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../libs/sdk/connect.ts';
import { readTrace } from '../../libs/sdk/read-trace.ts';
import { until } from '../../libs/testkit/until.ts';
import { isAlive } from './hivebus.ts';
import { pathsOf } from './traced.ts';

/** The demo on a small folder that is no git repository: it does what it says, and nothing is left of it. */

const MAIN = fileURLToPath(new URL('../../dist/examples/demo/main.js', import.meta.url));
const FILES = 40;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hivebus-demo-test-'));
  const repo = join(folder, 'repo');
  mkdirSync(repo);
  for (let i = 0; i < FILES; i++) {
    writeFileSync(join(repo, `file-${i}.ts`), `// ${'TODO'}: ${i}\nexport function f${i}() {\n  return ${i};\n}\n`);
  }
  writeFileSync(join(repo, 'picture.png'), Buffer.from([0x89, 0x50, 0, 1, 2]));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Demo {
  readonly child: ChildProcess;
  /** Where it puts what it needs for a while. */
  readonly temporary: string;
  said(): string;
  ended(): Promise<number | null>;
}

function demo(...args: string[]): Demo {
  const temporary = mkdtempSync(join(folder, 'tmp-'));
  const child = spawn(process.execPath, [MAIN, '--repo', join(folder, 'repo'), '--out', join(folder, 'out'), ...args], {
    // All that it starts carries this folder's name, in its arguments or in its working folder.
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const add = (chunk: Buffer) => {
    text += chunk;
  };
  child.stdout?.on('data', add);
  child.stderr?.on('data', add);
  const exit = once(child, 'close') as Promise<[number | null]>;
  return { child, temporary, said: () => text, ended: async () => (await exit)[0] };
}

const reported = () => JSON.parse(readFileSync(join(folder, 'out', 'report.json'), 'utf8'));

/** Processes that the demo has started: they work in its folder, or name it. */
function leftovers(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid && isAlive(Number(name)))
    .flatMap((pid) => {
      const command = commandOf(pid);
      return command.includes(folder) ? [`${pid} ${command}`] : [];
    });
}

function commandOf(pid: string): string {
  try {
    return `${readFileSync(`/proc/${pid}/cmdline`, 'utf8')} ${readFileSync(`/proc/${pid}/environ`, 'utf8')}`;
  } catch {
    return ''; // it has just ended
  }
}

test('three swarms do the job, one agent dies, everything is done and reported', async () => {
  const { said, ended } = demo();
  expect(await ended(), said()).toBe(0);
  const report = reported();
  expect(report).toMatchObject({ files: FILES, succeeded: FILES, failed: [], skipped: { binary: 1 } });
  expect(report.lent.length).toBeGreaterThan(0);
  for (const { agent, lender, borrower, choice } of report.lent) {
    expect([agent.split('/')[0], borrower]).toEqual([lender, 'code']);
    const [chosen, ...others] = choice.best;
    expect(chosen).toMatchObject({ agent, behind: '', parts: { free: expect.any(Number) } });
    expect(choice.candidates).toBeGreaterThanOrEqual(choice.best.length);
    for (const { behind } of others) expect(behind).not.toBe('');
  }
  expect(said()).toMatch(/^lent {7}\S+ +to code, [\d.]+ of 1000 points, the (best of|only one)/m);
  const markdown = readFileSync(join(folder, 'out', 'report.md'), 'utf8');
  expect(markdown).toContain('## Lent, and why');
  // On a slow machine the first agents may be lent before a second task is in the queue.
  if (report.waited) {
    const { agents, conditions, waitedMs } = report.waited;
    expect(conditions.reduce((sum: number, { ruledOut }: { ruledOut: number }) => sum + ruledOut, 0)).toBe(agents);
    expect(waitedMs).toBeGreaterThan(0);
    expect(markdown).toContain('## A task that waited, and why');
    expect(said()).toMatch(/^waited {5}\S+ for \S+, until \S+ was /m);
  }
  expect(report.killed).toBeTypeOf('string');
  expect(report.retried.length).toBeGreaterThan(0);
  expect(report.analyses[0]).toMatchObject({ functions: 1, marks: [{ kind: 'TODO', line: 1 }] });
  expect(report.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(said()).toContain(report.traceId);
  expect(readFileSync(join(folder, 'out', 'report.md'), 'utf8')).toContain('## Longest functions');
  await until(() => leftovers().length === 0);
});

/** The way to an attempt of a task; one that was asked for, since its delivery was lost, has no delivery above it. */
const ATTEMPT =
  /^demo @demo > call pool\.SubmitTask @demo > pool\.SubmitTask @hivebus > (deliver \S+ @hivebus > )?run analyser @agent$/;
/** What is lost with a killed process leaves behind what others did for it. */
const OF_THE_KILLED = /^\? > (call )?(pool\.(ConfirmAssignment|ReportTask)|exec node) @/;

/** The trace as far as it is kept, and which one the last program's is. */
async function keptOf(servers: string, traceId: string) {
  await using hive = await connect({ servers, env: {} });
  const { spans } = await hive.telemetry.getTrace({ last: true });
  return { ...(await readTrace(hive, { traceId })), last: spans[0]?.traceId };
}

test('its trace begins with one span and has every task below it, and nothing that was only waited for', async () => {
  const { child, said, ended } = demo('--keep');
  try {
    await until(() => said().includes('It keeps running'), 90_000);
    const [, servers = ''] = /federation at (\S+)/.exec(said()) ?? [];
    const [, traceId = ''] = /^trace +(\S+)$/m.exec(said()) ?? [];
    const { spans, missing, last } = await keptOf(servers, traceId);
    expect(missing).toBe(0);
    expect(spans.filter(({ parentSpanId }) => parentSpanId === '').map(({ name }) => name)).toEqual(['demo']);
    expect(new Set(spans.map(({ attributes }) => attributes['hivebus.correlation_id'])).size).toBe(1);
    const names = [...new Set(spans.map(({ name }) => name))];
    expect(names.filter((name) => /ListAgents|Tasks$|RenewLease|GetAgent/.test(name))).toEqual([]);

    const ways = pathsOf(spans);
    expect(ways.filter((way) => way.startsWith('?') && !OF_THE_KILLED.test(way))).toEqual([]);
    expect(ways).toContain('demo @demo > call pool.RequestAgent @demo > pool.RequestAgent @hivebus');
    const attempts = spans.filter(({ name }) => name === 'run analyser');
    expect(pathsOf(spans, attempts).filter((way) => !ATTEMPT.test(way))).toEqual([]);
    const { killed } = reported();
    const told = attempts.filter(({ attributes }) => attributes['hivebus.task.outcome'] === 'succeeded');
    const tasks = [...told, ...attempts.filter(({ attributes }) => attributes['hivebus.agent'] === killed)];
    expect(new Set(tasks.map(({ attributes }) => attributes['hivebus.task.id'])).size).toBe(FILES);
    expect(told.some(({ attributes }) => attributes['hivebus.task.attempt'] === '2')).toBe(true);

    const report = readFileSync(join(folder, 'out', 'report.md'), 'utf8');
    expect(report).toMatch(/^demo +demo +\S+ {2}━+$/m);
    expect(report).toMatch(/^├ ⋮ \d+ more like this, longest /m);
    expect(last).toBe(traceId);
    child.kill('SIGINT');
    expect(await ended(), said()).toBe(0);
  } finally {
    child.kill('SIGKILL');
  }
  await until(() => leftovers().length === 0, 30_000);
});

test.each(['SIGINT', 'SIGKILL'] as const)('%s in the middle leaves no process behind', async (signal) => {
  const { child, said, ended } = demo();
  await until(() => said().includes('borrows'), 60_000);
  expect(leftovers().length).toBeGreaterThan(5);
  child.kill(signal);
  expect(await ended()).toBe(signal === 'SIGINT' ? 130 : null);
  await until(() => leftovers().length === 0, 30_000);
});

test.each([1, 2])(
  '%i times Ctrl-C before its agents are ready ends it, with all that it has started',
  async (times) => {
    const { child, temporary, said, ended } = demo();
    await until(() => said().includes(`${FILES} files of`), 60_000);
    await until(() => leftovers().length > 1, 30_000); // the demo itself, and what it starts
    for (let i = 0; i < times; i++) child.kill('SIGINT');
    expect(await ended()).toBe(130);
    await until(() => leftovers().length === 0, 30_000);
    if (times === 1) {
      expect(said()).toContain('demo: interrupted');
      expect(readdirSync(temporary).filter((name) => name.startsWith('hivebus-demo-'))).toEqual([]);
    }
  },
);

test('what cannot work is said, with exit code 1, and wrong usage with 2', async () => {
  const nothing = demo('--repo', join(folder, 'nowhere'));
  expect(await nothing.ended()).toBe(1);
  expect(nothing.said()).toMatch(/^demo: --repo .*nowhere is not a folder\n$/);
  expect(existsSync(join(folder, 'nowhere'))).toBe(false);
  expect(await demo('--rpo', folder).ended()).toBe(2);
});
