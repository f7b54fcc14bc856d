import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { counting, EACH_STEP_ONCE, linesOf } from './counting.ts';
import { Playground } from './hivebus.ts';

/** What holds from one attempt to the next when agents are processes that are killed and stopped. */

const playground = new Playground();
beforeAll(async () => {
  await playground.up();
});
afterAll(() => playground[Symbol.asyncDispose]());

const PATIENCE_MS = 90_000;

const submit = (type: string, more: readonly string[]) => playground.submit('code', type, more);

test('when an agent is killed its task goes on elsewhere from the last checkpoint', async () => {
  const file = join(playground.folder, 'steps');
  const args = ['--type', 'counter', '--exec', counting(file)];
  const first = await playground.agent(args);
  const id = await submit('counter', ['--resume']);
  // What was said while one was being stored is stored as the newest of it.
  await until(async () => (await playground.run(['task', 'checkpoint', id])).stdout.trim() === '3', PATIENCE_MS);
  await playground.agent(args);
  first.child.kill('SIGKILL');
  expect((await playground.taskIn(id, 'SUCCEEDED')).result).toEqual({ steps: 6 });
  expect(linesOf(file)).toEqual(EACH_STEP_ONCE);
});

/** The agent is stopped, its command is not: only the claim's end keeps the two attempts apart. */
test('a task with a claim never runs twice at a time, when its agent hangs and comes back', async () => {
  const file = join(playground.folder, 'runs');
  const command = [
    `beat() { echo "$HIVEBUS_ATTEMPT" >> '${file}'; }`,
    'while [ "$HIVEBUS_ATTEMPT" = 1 ]; do beat; sleep 0.02; done',
    'for i in 1 2 3 4 5; do beat; sleep 0.1; done; echo "$HIVEBUS_ATTEMPT"',
  ].join('\n');
  const args = ['--type', 'only', '--exec', command];
  const first = await playground.agent(args);
  const id = await submit('only', ['--claim']);
  await until(() => linesOf(file).length > 3, PATIENCE_MS);
  await playground.agent(args);
  first.child.kill('SIGSTOP');
  const { result, attempts } = await playground.taskIn(id, 'SUCCEEDED');
  first.child.kill('SIGCONT');
  expect(result).toBe(2);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['OUTCOME_LOST', 'OUTCOME_SUCCEEDED']);
  const lines = linesOf(file);
  expect(lines).toEqual([...lines].sort());
  expect(lines.filter((attempt) => attempt === '2')).toHaveLength(5);
  // The first one is back, has no part in it, and works on.
  const next = await submit('only', ['--claim', '--max-attempts', '1', '--timeout', '1s']);
  await playground.taskIn(next, 'FAILED');
  expect((await playground.task(id)).attempts).toHaveLength(2);
});

test('a folder follows its task to the next agent of its host, and leaves with its end', async () => {
  const data = join(playground.folder, 'data');
  const command = [
    'cd "$HIVEBUS_VOLUME_BUILD_CACHE"',
    '[ -e half ] || { touch half; sleep 600; }',
    'echo "{\\"attempt\\": $HIVEBUS_ATTEMPT, \\"files\\": \\"$(ls)\\"}"',
  ].join('\n');
  const args = ['--type', 'builder', '--data', data, '--exec', command];
  const first = await playground.agent(args);
  const id = await submit('builder', ['--volume', 'build-cache', '--max-attempts', '9']);
  const folder = join(data, 'volumes', 'main', id, 'build-cache');
  await until(() => existsSync(join(folder, 'half')), PATIENCE_MS);
  await playground.agent(['--type', 'builder', '--data', join(playground.folder, 'elsewhere'), '--exec', 'exit 65']);
  await playground.agent(['--type', 'builder', '--exec', 'exit 65']);
  first.child.kill('SIGKILL');
  await until(async () => (await playground.task(id)).waitingFor.includes('where its volumes are'), PATIENCE_MS);
  await playground.agent(args);
  expect((await playground.taskIn(id, 'SUCCEEDED')).result).toEqual({ attempt: expect.any(Number), files: 'half' });
  await until(() => !existsSync(folder), PATIENCE_MS);
});

test('a task that fails is a dead letter, and its work can be submitted again', async () => {
  const file = join(playground.folder, 'mended');
  await playground.agent([
    '--type',
    'fixer',
    '--exec',
    `[ -e '${file}' ] || { echo broken >&2; exit 65; }; echo '"ok"'`,
  ]);
  const id = await submit('fixer', ['--payload', '{"n": 1}']);
  await playground.taskIn(id, 'FAILED');
  const letters = (await playground.run(['task', 'dead-letters', '--swarm', 'code'])).stdout;
  expect(letters).toContain(id);
  expect(letters).toContain('broken');
  writeFileSync(file, '');
  const replayed = await playground.json<Task>(['task', 'replay', id, '--id', 'again']);
  expect(replayed).toMatchObject({ id: 'again', origin: { replayOf: id }, spec: { payload: { n: 1 } } });
  expect((await playground.taskIn('again', 'SUCCEEDED')).result).toBe('ok');
  expect((await playground.run(['task', 'dead-letters', id])).stdout).toContain('replayed as again');
});
