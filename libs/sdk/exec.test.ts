import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { until } from '../testkit/until.ts';
import { createExecHandler, type ExecOptions } from './exec.ts';
import type { AgentTask, TaskRun } from './task.ts';

const TASK: AgentTask = {
  id: 't-1',
  attempt: 2,
  federation: 'main',
  agent: 'code/a1',
  swarm: 'code',
  type: 'coder',
  capabilities: [],
  payload: { file: 'a.ts' },
  script: '',
  timeoutMs: 60_000,
  maxAttempts: 3,
  priority: 0,
  labels: {},
  title: 'A title',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  correlationId: 'c-1',
  hops: 1,
};

interface Ran {
  result?: unknown;
  readonly checkpoints: unknown[];
  readonly artefacts: [name: string, content: string][];
  readonly said: [percent: number | undefined, text: string][];
  error?: HiveError;
  lines: string[];
}

async function run(
  options: ExecOptions,
  task: Partial<AgentTask> = {},
  onLine: (line: string, stop: AbortController) => void = () => {},
  more: Partial<TaskRun> = {},
): Promise<Ran> {
  const stop = new AbortController();
  using exec = createExecHandler(options);
  const lines: string[] = [];
  const said: [percent: number | undefined, text: string][] = [];
  const checkpoints: unknown[] = [];
  const checkpoint = async (data: unknown) => void checkpoints.push(data);
  const artefacts: [name: string, content: string][] = [];
  const artefact: TaskRun['artefact'] = async (name, content) => void artefacts.push([name, content.toString()]);
  const log = (text: string, stream = 'stdout') => {
    lines.push(`${stream}: ${text}`);
    onLine(text, stop);
  };
  try {
    const whole = { ...TASK, ...task };
    const parts = {
      attempt: 2,
      traceparent: whole.traceparent,
      signal: stop.signal,
      leaving: new AbortController().signal,
      log,
      checkpoint,
      artefact,
      progress: (percent: number | undefined, text = '') => void said.push([percent, text]),
      ...more,
    };
    const result = await exec.handler(whole, parts);
    return { result, lines, checkpoints, artefacts, said };
  } catch (error) {
    return { error: error as HiveError, lines, checkpoints, artefacts, said };
  }
}

const sh = (script: string): ExecOptions => ({ command: ['sh', '-c', script] });

test('the task comes on standard input and in the environment, the last JSON line is the result', async () => {
  const { result, lines } = await run(
    sh(
      'echo "$HIVEBUS_TASK_ID $HIVEBUS_ATTEMPT $HIVEBUS_AGENT $TRACEPARENT"; echo \'{"a":1}\'; cat; echo done >&2; echo "{ no"',
    ),
  );
  expect(lines).toContain(`stdout: t-1 2 code/a1 ${TASK.traceparent}`);
  expect(lines).toContain('stderr: done');
  expect(result).toMatchObject({ id: 't-1', payload: { file: 'a.ts' } });
});

test('a last line without a line end counts, and no JSON is no result', async () => {
  expect((await run(sh('printf \'{"last":true}\''))).result).toEqual({ last: true });
  expect((await run(sh('echo hello'))).result).toBeUndefined();
});

test('lines that say so are progress, and stay in the log', async () => {
  const lines = [
    '::progress 40% counting all',
    '::progress 41',
    '::progress warming up',
    '::progressive 1',
    '::progress',
  ];
  const ran = await run(sh(lines.map((line) => `echo '${line}'`).join('; ')));
  expect(ran.said).toEqual([
    [40, 'counting all'],
    [41, ''],
    [undefined, 'warming up'],
    [undefined, ''],
  ]);
  expect(ran.lines).toEqual(lines.map((line) => `stdout: ${line}`));
});

test.each([
  ['exit 3', 'ABORTED', true, 'exit code 3'],
  ['echo why >&2; exit 75', 'ABORTED', true, 'exit code 75: why'],
  ['kill -9 $$', 'ABORTED', true, 'killed by SIGKILL'],
  ['exit 65', 'INVALID_ARGUMENT', false, 'exit code 65'],
  ['exit 64', 'INVALID_ARGUMENT', false, 'exit code 64'],
])('%s', async (script, code, retryable, message) => {
  const { error } = await run(sh(script));
  expect(error).toBeInstanceOf(HiveError);
  expect(error).toMatchObject({ code, retryable, message });
});

test('a command that reads nothing of a large input is not in error', async () => {
  const { error, result } = await run(sh('exec 0<&-; echo 7'), { payload: 'x'.repeat(200_000) });
  expect(error).toBeUndefined();
  expect(result).toBe(7);
});

test('scripts run only where they are allowed', async () => {
  const script = 'echo "[$HIVEBUS_TYPE]"; echo \'["ok"]\'';
  expect((await run({ allowScripts: true }, { script })).result).toEqual(['ok']);
  expect((await run(sh('true'), { script })).error?.message).toContain('--allow-scripts');
});

test('stopping ends the whole group, those that ignore SIGTERM too', async () => {
  const pids: number[] = [];
  const { error } = await run(
    { ...sh('trap "" TERM; (trap "" TERM; while :; do sleep 5; done) & echo $$; echo $!; wait; sleep 5'), graceMs: 50 },
    {},
    (line, stop) => {
      pids.push(Number(line));
      if (pids.length === 2) stop.abort();
    },
  );
  expect(error?.message).toBe('killed by SIGKILL');
  expect(pids.map(isAlive)).toEqual([false, false]);
});

test('what has ended and was not reaped by its parent is not waited for', async () => {
  const seen: string[] = [];
  const { error } = await run(
    { ...sh('(sleep 600 & echo child; exec setsid sleep 600) & echo up; wait'), graceMs: 600_000 },
    {},
    (line, stop) => {
      seen.push(line);
      if (seen.length === 2) stop.abort();
    },
  );
  expect(error?.message).toBe('killed by SIGTERM');
});

test('on SIGTERM the command may clean up within the grace time', async () => {
  const ran = await run(
    sh('trap "echo cleaned; exit 0" TERM; echo up; while :; do sleep 0.01; done'),
    {},
    (line, stop) => {
      if (line === 'up') stop.abort();
    },
  );
  expect(ran.lines).toContain('stdout: cleaned');
});

test('what a command leaves running ends with it', async () => {
  const { lines } = await run(sh('sleep 600 & echo $!'));
  expect(isAlive(Number(lines[0]?.slice('stdout: '.length)))).toBe(false);
});

test('what has left the group ends with it too, and does not hold the task up by the output that it keeps open', async () => {
  const { lines } = await run(
    sh('setsid sleep 600 & echo $!; (setsid sh -c "sleep 600 & exec sleep 600" &); sleep 0.2'),
  );
  const pid = Number(lines[0]?.slice('stdout: '.length));
  await until(() => !isAlive(pid));
});

test('a result that is too long for the pool is a failure, not a success without it', async () => {
  const { error } = await run(sh('printf \'["%9000000s"]\\n\' x'));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', retryable: false });
  expect((await run(sh('printf \'["%300000s"]\\n\' x'))).result).toHaveLength(1);
  expect((await run(sh("echo 1; printf '%9000000s\\n' x"))).result).toBe(1);
});

/** Whether a process runs: a zombie that nobody has reaped yet does not. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const RESUMES = { continuity: { resume: true, claim: false } };

test('a command that resumes has the last checkpoint, and each line of JSON on descriptor 3 is the next one', async () => {
  const script = [
    'echo "was $HIVEBUS_CHECKPOINT"',
    'echo "{\\"done\\":5}" >&"$HIVEBUS_CHECKPOINT_FD"',
    'echo "no json" >&3',
    'printf "{\\"done\\":6}" >&3',
  ].join('; ');
  const { lines, checkpoints } = await run(sh(script), { ...RESUMES, checkpoint: { done: 4 } });
  expect(lines).toContain('stdout: was {"done":4}');
  expect(checkpoints).toEqual([{ done: 5 }, { done: 6 }]);
  expect(lines).toContain('stderr: hivebus: a checkpoint was not stored: it is not one line of JSON');
  const first = await run(sh('echo "was <$HIVEBUS_CHECKPOINT>"'), RESUMES);
  expect(first.lines).toContain('stdout: was <>');
});

test('a checkpoint that is too long, or refused, is told in the log; one that keeps the pipe open holds nobody up', async () => {
  const script =
    'head -c 70000 /dev/zero | tr "\\0" 1 >&3; echo >&3; echo 7 >&3; (sleep 60 >/dev/null 2>&1 &) ; exit 0';
  const checkpoint = async () => {
    throw new HiveError('ABORTED', 'not yours');
  };
  const { lines } = await run(sh(script), RESUMES, undefined, { checkpoint });
  await until(() => lines.length === 2);
  expect(lines).toContain('stderr: hivebus: a checkpoint was not stored: it has more than 65536 bytes');
  expect(lines).toContain('stderr: hivebus: a checkpoint was not stored: not yours');
});

test('what runs when the claim is over is killed at once, whatever it does about being asked', async () => {
  const over = new AbortController();
  const claim = { over: over.signal, follow: (listener: (leftMs: number) => void) => listener(60_000) };
  const stubborn = sh('trap "" TERM; echo ready; while :; do sleep 0.05; done');
  const onLine = (line: string, stop: AbortController) => {
    if (line !== 'ready') return;
    stop.abort();
    over.abort();
  };
  const { error } = await run({ ...stubborn, graceMs: 600_000 }, {}, onLine, { claim });
  expect(error?.message).toContain('killed by SIGKILL');
});

test('when a claim is not renewed the guardian kills what runs, even if nobody here does', async () => {
  const claim = { over: new AbortController().signal, follow: (listener: (leftMs: number) => void) => listener(300) };
  const { error } = await run(sh('echo ready; sleep 600'), {}, undefined, { claim });
  expect(error?.message).toContain('killed by SIGKILL');
});

test('a claim that was renewed, and one of an attempt that has ended, kills nobody', async () => {
  const followers: ((leftMs: number) => void)[] = [];
  const claim = {
    over: new AbortController().signal,
    follow: (listener: (leftMs: number) => void) => followers.push(listener),
  };
  const onLine = () => {
    for (const tell of followers) tell(1500);
    for (const tell of followers) tell(60_000);
  };
  expect((await run(sh('echo ready; sleep 2; echo 1'), {}, onLine, { claim })).result).toBe(1);
});

test('files that a command leaves when it succeeds are artefacts; what is none is told; the folder leaves with it', async () => {
  const script = [
    'cd "$HIVEBUS_ARTEFACTS"; printf hello > report.txt; printf 1 > .hidden; mkdir folder; pwd',
    'exit $CODE',
  ].join('; ');
  const ends = (code: string) => run({ ...sh(script), env: { ...process.env, CODE: code } });
  const { artefacts, lines } = await ends('0');
  expect(artefacts).toEqual([['report.txt', 'hello']]);
  expect(lines.filter((line) => line.startsWith('stderr')).map((line) => line.slice(0, 60))).toEqual([
    'stderr: hivebus: ".hidden" is no artefact: its name must be ',
    'stderr: hivebus: "folder" is no artefact: it must be a file',
  ]);
  const folder = lines[0]?.slice('stdout: '.length) ?? '';
  expect(existsSync(folder)).toBe(false);
  expect((await ends('3')).artefacts).toEqual([]);
});
