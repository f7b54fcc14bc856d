import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { ExplainResponse, Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { Playground } from './hivebus.ts';

/** events, watch and explain: what has happened, what happens, and why. */

const playground = new Playground();
const PATIENCE_MS = 60_000;

beforeAll(async () => {
  await playground.up();
  for (const swarm of ['code', 'docs']) await playground.run(['federation', 'join', '--swarm', swarm]);
});
afterAll(() => playground[Symbol.asyncDispose]());

const submit = (swarm: string, id: string) =>
  playground.json<Task>(['task', 'submit', '--swarm', swarm, '--type', 'counter', '--id', id]);

interface Seen {
  readonly subject: string;
  readonly headers: Record<string, string>;
}
/** The JSON among the whole lines of an output. */
const lines = <T>(text: string): T[] =>
  text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));

test('what a task waits for: nobody, then somebody else; what would help; and what happened when it went on', async () => {
  await submit('code', 'waits');
  const nobody = await playground.json<ExplainResponse>(['explain', 'waits']);
  expect(nobody.placement).toMatchObject({ agents: 0, fitting: 0, unblockers: [{ kind: 'register' }] });
  const agent = playground.start([
    'agent',
    'run',
    '--swarm',
    'docs',
    '--type',
    'counter',
    '--name',
    'wc',
    '--exec',
    'cat',
  ]);
  await until(() => agent.said().includes('is ready'), PATIENCE_MS);
  // On a busy machine an agent may be suspected for a while.
  const elsewhere = await until(async () => {
    const answer = await playground.run(['explain', 'task/waits']);
    return answer.stdout.includes('borrows') ? answer : undefined;
  }, PATIENCE_MS);
  expect(elsewhere.stdout).toMatch(/belongs to swarm code, or is lent to it +0 +1 +docs\/wc/);
  expect(elsewhere.stdout).toContain('swarm code borrows an agent of type counter that is free elsewhere (1)');
  const wish = ['--swarm', 'code', '--type', 'counter'];
  const canBorrow = async () => (await playground.run(['explain', '--borrow', ...wish])).stdout;
  await until(async () => (await canBorrow()).includes('1 of 1 agents could be lent to code now'), PATIENCE_MS);
  await until(async () => (await playground.run(['request-resource', ...wish])).code === 0, PATIENCE_MS);
  const isDone = async () => (await playground.json<Task>(['get', 'task', 'waits'])).state === 'TASK_STATE_SUCCEEDED';
  await until(isDone, PATIENCE_MS);
  expect((await playground.run(['explain', 'waits'])).stdout).toMatch(/given to docs\/wc \(borrowed, lease-/);
  expect((await playground.run(['explain', 'waits'])).stdout).toMatch(/^chosen {2}docs\/wc was the only agent/m);
  expect((await playground.run(['explain', 'nothing-of-that-name'])).code).toBe(4);
});

test('events of the past come from the journals of all services, in order, and end where they are asked to', async () => {
  const { code, stdout } = await playground.run(['events', '--since', '1h', '--no-follow', '-o', 'json']);
  expect(code).toBe(0);
  const seen = lines<Seen>(stdout).map(({ subject }) => subject);
  const first = (part: string) => seen.findIndex((subject) => subject.includes(part));
  expect(first('registry.swarm.registered.code')).toBeGreaterThanOrEqual(0);
  expect(first('pool.task.submitted.code.waits')).toBeGreaterThan(first('registry.swarm.registered.code'));
  expect(first('pool.task.ended.code.waits')).toBeGreaterThan(first('pool.lease.granted.code'));
  const one = await playground.run(['events', '--since', '1h', '--no-follow', '--task', 'waits', '--service', 'pool']);
  expect(one.stdout).toContain('pool.task.started.code.waits');
  expect(one.stdout).not.toContain('registry.');
});

test('from a revision, and on with what happens', async () => {
  const past = await playground.run(['events', '--since', '1h', '--no-follow', '--service', 'pool', '-o', 'json']);
  const [earlier, last] = lines<Seen>(past.stdout).slice(-2);
  const revision = earlier?.headers['hive-revision'] ?? '';
  expect(last).toBeDefined();
  const args = ['events', '--service', 'pool', '--since', revision, '-o', 'json'];
  const watching = playground.start(args);
  await until(() => watching.said().includes('as it happens'), PATIENCE_MS);
  await submit('code', 'live');
  await until(() => watching.said().includes('pool.task.submitted.code.live'), PATIENCE_MS);
  watching.child.kill('SIGINT');
  await watching.ended;
});

test.each([
  [['events', '--since', '12'], 'belongs to one journal'],
  [['events', '--since', 'yesterday'], 'must be a duration'],
  [['events', '--since', '5m', '--all'], 'does not go with --since'],
  [['events', '--no-follow'], 'goes with --since only'],
  [['watch', 'swarms,agents'], 'one kind at a time'],
  [['watch', 'whales'], 'is no kind'],
  [['explain'], 'name a task, a group, a request, a lease or a migration'],
])('%j is wrong usage', async (args, rule) => {
  const { code, stderr } = await playground.run(args);
  expect(code).toBe(2);
  expect(stderr).toContain(rule);
});

test('watch shows what there is, each change, and what is gone', async () => {
  const watching = playground.start(['watch', 'swarms', '-o', 'json']);
  const seen = () =>
    lines<{ name: string; gone: boolean }>(watching.said()).map(({ name, gone }) => (gone ? `-${name}` : name));
  await until(() => seen().includes('docs'), PATIENCE_MS);
  await playground.run(['federation', 'join', '--swarm', 'later', '--offer', 'x:2']);
  await until(() => seen().includes('later'), PATIENCE_MS);
  await playground.run(['delete', 'swarm', 'later']);
  await until(() => seen().includes('-later'), PATIENCE_MS);
  watching.child.kill('SIGINT');
  await watching.ended;
});

test('a list by a name that is not there says so, and what was meant; so does whoever asks for one thing', async () => {
  const said = async (...args: string[]) => {
    const { code, stdout, stderr } = await playground.run(args);
    return [code, stdout.trim(), stderr.trim()];
  };
  const unknown = 'swarm dcos is not registered (yet); did you mean docs?';
  expect(await said('task', 'list', '--swarm', 'dcos')).toEqual([0, 'no tasks (with --swarm dcos)', unknown]);
  expect(await said('get', 'leases', '--swarm', 'dcos')).toEqual([0, 'nothing is lent (with --swarm dcos)', unknown]);
  const meant = 'hivebus: swarm "dcos" is not known; did you mean docs?';
  expect(await said('get', 'swarm', 'dcos')).toEqual([4, '', meant]);
  expect(await said('deregister-swarm', 'dcos')).toEqual([4, '', meant]);
  expect(await said('agent', 'drain', 'docs/wcc')).toEqual([4, '', expect.stringContaining('did you mean docs/wc?')]);
});
