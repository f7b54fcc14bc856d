import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { isAlive, Playground, type Started } from './hivebus.ts';

/** Agents as processes: what they run, how it ends, and that it ends with them. */

const playground = new Playground();
let up: Started;
beforeAll(async () => {
  up = await playground.up();
});
afterAll(() => playground[Symbol.asyncDispose]());

let kinds = 0;
/** A type of agent of a test's own, so that tests do not take each other's tasks. */
const newType = (): string => `type-${++kinds}`;

const submit = (type: string, more: readonly string[] = []) => playground.submit('code', type, more);

const logs = async (id: string): Promise<string[]> =>
  (await playground.run(['task', 'logs', id])).stdout.split('\n').filter((line) => line !== '');

/** The number that a task has written to its log. */
const pidIn = (id: string): Promise<number> =>
  until(async () => Number((await logs(id)).find((line) => /^\d+$/.test(line))), 60_000);

test('a task runs, its output is in the log, its last JSON line is the result', async () => {
  const type = newType();
  await playground.agent([
    '--type',
    type,
    '--exec',
    'echo "hello $HIVEBUS_TASK_ID" >&2; cat; echo "[$HIVEBUS_ATTEMPT]"',
  ]);
  const { code, stdout, stderr } = await playground.run(
    ['task', 'submit', '--swarm', 'code', '--type', type, '--payload', '-', '--wait', '-o', 'json'],
    '{"n": 7}',
  );
  expect(code).toBe(0);
  const task = JSON.parse(stdout) as Task;
  expect(task).toMatchObject({ state: 'TASK_STATE_SUCCEEDED', result: [1], submittedBy: 'operator:local' });
  expect(stderr).toContain('succeeded');
  const lines = await logs(task.id);
  expect(lines).toContain(`hello ${task.id}`);
  expect(lines.some((line) => line.includes('"payload":{"n":7}'))).toBe(true);
  const followed = await playground.run(['task', 'logs', '-f', task.id, '-o', 'json']);
  expect(
    followed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).number),
  ).toEqual([1, 2, 3]);
});

test.each([
  [65, 'TASK_STATE_FAILED', ['OUTCOME_TERMINAL']],
  [75, 'TASK_STATE_FAILED', ['OUTCOME_FAILED', 'OUTCOME_FAILED']],
])('exit code %d', async (code, state, outcomes) => {
  const type = newType();
  await playground.agent(['--type', type, '--exec', `echo because >&2; exit ${code}`]);
  const waited = await playground.run([
    ...['task', 'submit', '--swarm', 'code', '--type', type, '--max-attempts', '2', '--wait', '-o', 'json'],
  ]);
  expect(waited.code).toBe(1);
  const task = JSON.parse(waited.stdout) as Task;
  expect(task.state).toBe(state);
  expect(task.attempts.map(({ outcome }) => outcome)).toEqual(outcomes);
  expect(task.reason).toContain('because');
});

test('an agent that is killed takes its children with it, and another does its work again', async () => {
  const type = newType();
  const args = ['--type', type, '--exec', 'echo $$; [ $HIVEBUS_ATTEMPT -gt 1 ] || sleep 600; echo 1'];
  const first = await playground.agent(args);
  const id = await submit(type);
  const pid = await pidIn(id);
  expect(isAlive(pid)).toBe(true);
  await playground.agent(args);
  first.child.kill('SIGKILL');
  await until(() => !isAlive(pid));
  const task = await playground.taskIn(id, 'SUCCEEDED');
  expect(task.attempts.map(({ outcome }) => outcome)).toEqual(['OUTCOME_LOST', 'OUTCOME_SUCCEEDED']);
});

test('cancel ends the whole process group, with a grace time for those who ask for it', async () => {
  const type = newType();
  const script = 'trap "" TERM; (trap "" TERM; sleep 600) & echo $!; wait; sleep 600';
  await playground.agent(['--type', type, '--grace', '200ms', '--exec', script]);
  const id = await submit(type);
  const pid = await pidIn(id);
  expect((await playground.run(['task', 'cancel', id, '--reason', 'enough'])).code).toBe(0);
  await playground.taskIn(id, 'CANCELLED');
  await until(() => !isAlive(pid));
});

test('the time limit ends an attempt', async () => {
  const type = newType();
  await playground.agent(['--type', type, '--exec', 'echo $$; sleep 600']);
  const id = await submit(type, ['--timeout', '300ms', '--max-attempts', '1']);
  const pid = await pidIn(id);
  const task = await playground.taskIn(id, 'FAILED');
  expect(task.attempts[0]?.outcome).toBe('OUTCOME_TIMED_OUT');
  await until(() => !isAlive(pid));
});

test('a script runs only on an agent that allows scripts', async () => {
  const type = newType();
  await playground.agent(['--type', type, '--exec', 'echo command']);
  const file = join(playground.folder, 'script.sh');
  writeFileSync(file, 'echo "{\\"from\\": \\"script\\"}"\n');
  const id = await submit(type, ['--script', `@${file}`]);
  const waiting = await until(async () => {
    const task = await playground.task(id);
    return task.waitingFor === '' ? undefined : task;
  });
  expect(waiting.state).toBe('TASK_STATE_QUEUED');
  await playground.agent(['--type', type, '--allow-scripts']);
  expect((await playground.taskIn(id, 'SUCCEEDED')).result).toEqual({ from: 'script' });
});

test('an agent that is stopped finishes what it has, and leaves the pool', async () => {
  const type = newType();
  const go = join(playground.folder, 'go');
  const command = `echo 1; until [ -e '${go}' ]; do sleep 0.1; done; echo 2`;
  const agent = await playground.agent(['--type', type, '--name', 'polite', '--exec', command]);
  const id = await submit(type);
  await playground.taskIn(id, 'RUNNING');
  agent.child.kill('SIGTERM');
  writeFileSync(go, '');
  expect((await agent.ended).code).toBe(0);
  expect((await playground.task(id)).result).toBe(2);
  const { agents } = await playground.json<{ agents: { name: string }[] }>(['federation', 'resources']);
  expect(agents.some(({ name }) => name === 'polite')).toBe(false);
});

test('an agent is borrowed, does the work of another swarm, and is given back', async () => {
  const type = newType();
  await playground.agent(['--type', type, '--name', 'lent', '--exec', 'echo 1']);
  await playground.run(['register-swarm', 'poor']);
  const request = ['request-resource', '--swarm', 'poor', '--type', type];
  const { lease } = await playground.json<{ lease: { id: string; agent: string } }>(request);
  expect(lease.agent).toBe('code/lent');
  const none = await playground.run(request);
  expect(none).toMatchObject({ code: 1, stdout: '' });
  const work = ['task', 'submit', '--swarm', 'poor', '--type', type, '--wait', '-o', 'json'];
  const task = JSON.parse((await playground.run(work)).stdout) as Task;
  expect(task.attempts[0]).toMatchObject({ agent: 'code/lent', lease: lease.id });
  const released = await playground.json<{ lease: { state: string } }>(['release-resource', lease.id]);
  expect(released.lease.state).toBe('LEASE_STATE_RELEASED');
});

test('what is not there, and what is not yours', async () => {
  expect((await playground.run(['task', 'get', 'nothing'])).code).toBe(4);
  expect((await playground.run(['federation', 'status', '--federation', 'nowhere'])).code).toBe(4);
  const env = { HIVEBUS_HOME: join(playground.folder, 'stranger') };
  expect(await playground.start(['register-swarm', 'code'], env).ended).toMatchObject({ code: 5, stdout: '' });
  expect(existsSync(join(env.HIVEBUS_HOME, 'keys', 'swarm-main-code.key'))).toBe(false);
  const nobody = await playground.start(['federation', 'init', 'theirs', '-o', 'json'], env).ended;
  expect(nobody).toMatchObject({ code: 5, stdout: '' });
  expect(JSON.parse(nobody.stderr)).toMatchObject({
    ...{ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' },
    message: expect.stringMatching(/HIVEBUS_HOME, .* --as swarm:NAME/),
  });
});

test('events are shown as they happen, and Ctrl-C ends it well', async () => {
  const events = playground.start(['events', '-o', 'json', '--swarm', 'seen']);
  await until(() => events.said().includes('listening'));
  await playground.run(['register-swarm', 'seen']);
  await until(() => events.said().includes('swarm.registered'));
  events.child.kill('SIGINT');
  const { code, stdout } = await events.ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout.split('\n')[0] as string)).toMatchObject({
    subject: 'hive.main.registry.swarm.registered.seen',
  });
});

test('a second one on the same folder is refused, and told where the first is', async () => {
  const second = await playground.run(['up', '--port', '0', '--grpc-port', '0']);
  expect(second).toMatchObject({ code: 1, stdout: '' });
  expect(second.stderr).toMatch(new RegExp(`already up in .*: pid ${up.child.pid}, nats nats://127.0.0.1:\\d+, grpc `));
});

test('a hive elsewhere says how it is found, and is found so', async () => {
  const elsewhere = playground.start(['up', '--data', 'else where', '--port', '0', '--grpc-port', '0']);
  await until(() => elsewhere.said().includes('hivebus events'), 60_000);
  expect(up.said()).not.toContain('export');
  const [, nats = '', home = ''] = /export HIVEBUS_NATS=(\S+) HIVEBUS_HOME='(.*)'/.exec(elsewhere.said()) ?? [];
  expect(home).toBe(join(realpathSync(playground.folder), 'else where'));
  const asked = playground.start(['federation', 'init', 'two', '-o', 'json'], {
    HIVEBUS_NATS: nats,
    HIVEBUS_HOME: home,
  });
  expect(await asked.ended).toMatchObject({ code: 0, stderr: '' });
  elsewhere.child.kill('SIGTERM');
  expect((await elsewhere.ended).code).toBe(0);
});

test('hivebus ends in order, and a new one has everything', async () => {
  const { child, ended } = up;
  const before = await playground.json<Task[]>(['task', 'list']);
  const { nats } = JSON.parse(readFileSync(join(playground.folder, '.hivebus', 'run.json'), 'utf8')) as {
    nats: string;
  };
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
  expect((await playground.run(['status', '--nats', nats])).code).toBe(3);
  up = await playground.up();
  const after = await playground.json<Task[]>(['task', 'list']);
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
});

test('a mistyped swarm is not made, nor a key of it, unless it is said to be new', async () => {
  await playground.run(['register-swarm', 'code']);
  const run = ['agent', 'run', '--swarm', 'cdoe', '--type', newType(), '--exec', 'cat'];
  const refused = await playground.run(run);
  expect(refused).toMatchObject({ code: 4, stdout: '' });
  expect(refused.stderr).toContain('swarm "cdoe" is not registered in main; did you mean code?');
  const key = join(playground.folder, '.hivebus', 'keys', 'swarm-main-cdoe.key');
  expect(existsSync(key)).toBe(false);
  const meant = playground.start([...run, '--new-swarm']);
  await until(() => meant.said().includes('is ready'), 60_000);
  expect(meant.said()).toContain('swarm cdoe is new in main: registered');
  expect(meant.said()).toContain('if another was meant: hivebus deregister-swarm cdoe');
  expect(existsSync(key)).toBe(true);
});

test('cancelling a task names those that end with it', async () => {
  const type = newType();
  const first = await submit(type);
  const second = await submit(type, ['--after', first]);
  const { stdout } = await playground.run(['task', 'cancel', first]);
  expect(stdout).toBe(`task ${first} is ended; with it ends 1 that waits for it: ${second}\n`);
  expect((await playground.taskIn(second, 'CANCELLED')).reason).toBe(
    `it depends on task ${first}, which was cancelled`,
  );
});
