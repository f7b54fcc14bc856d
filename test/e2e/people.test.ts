import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Agent, Lease, Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { Playground, type Started } from './hivebus.ts';

/** What people see: when they interrupt something, when they slip, and where they look. */

const PATIENCE_MS = 60_000;

const playground = new Playground();
let up: Started;
let slow: Started;
beforeAll(async () => {
  up = await playground.up();
  slow = await playground.agent(['--type', 'slow', '--name', 'slow-1', '--exec', 'echo begun; sleep 600']);
  await playground.run(['register-swarm', 'poor']);
});
afterAll(() => playground[Symbol.asyncDispose]());

const says = (started: Started, text: string) => until(() => started.said().includes(text), PATIENCE_MS);

test('a swarm that an agent makes is said to be new, and where its key lies', () => {
  expect(slow.said()).toMatch(/swarm code is new in main: registered, with its key in .*\bswarm-main-code\.key/);
});

test('Ctrl-C of logs -f and of --wait: the task goes on, and how to look at it is told', async () => {
  const waiting = playground.start(['task', 'submit', '--swarm', 'code', '--type', 'slow', '--wait']);
  await says(waiting, 'running on');
  const [task] = await playground.json<Task[]>(['task', 'list']);
  const id = task?.id ?? '';
  const logs = playground.start(['task', 'logs', '-f', id]);
  await says(logs, 'begun');
  for (const started of [waiting, logs]) started.child.kill('SIGINT');
  const [waited, read] = await Promise.all([waiting.ended, logs.ended]);
  expect([waited.code, read.code]).toEqual([130, 130]);
  expect(waited.stderr).toContain(`task ${id} goes on`);
  expect(waited.stderr).toContain(`hivebus task cancel ${id} ends it`);
  expect(read.stderr).toContain(`hivebus task logs -f ${id} reads its output again`);
  expect(read.stdout).toBe('begun\n');
  expect((await playground.run(['task', 'cancel', id])).code).toBe(0);
});

test('a type that nobody has, under --wait: it is said which types there are', async () => {
  const waiting = playground.start(['task', 'submit', '--swarm', 'code', '--type', 'solw', '--id', 'typo', '--wait']);
  await says(waiting, 'queued, waits for an agent of type solw: swarm code has none of its own, only of type slow');
  waiting.child.kill('SIGINT');
  await waiting.ended;
  expect((await playground.run(['task', 'cancel', 'typo'])).code).toBe(0);
});

test('registering again keeps what is not named; an empty value takes it away', async () => {
  const join = async (...args: string[]) => {
    expect(await playground.run(['federation', 'join', '--swarm', 'docs', ...args])).toMatchObject({ code: 0 });
    const { project, capabilities } = await playground.json<Swarm>(['get', 'swarm', 'docs']);
    return [project, ...capabilities.map(({ agentType, capacity }) => `${agentType}:${capacity}`)];
  };
  expect(await join('--offer', 'counter:2', '--project', 'manual')).toEqual(['manual', 'counter:2']);
  expect(await join()).toEqual(['manual', 'counter:2']);
  expect(await join('--project', '')).toEqual(['', 'counter:2']);
  expect(await join('--offer', '')).toEqual(['']);
  await playground.run(['deregister-swarm', 'docs']);
});

test('Ctrl-C of --hold gives the agent back and says so', async () => {
  const free = () =>
    playground.json<Agent[]>(['agent', 'list', '--swarm', 'code']).then(([agent]) => agent?.busy === 0);
  await until(free, PATIENCE_MS);
  const held = playground.start(['request-resource', '--swarm', 'poor', '--type', 'slow', '--hold']);
  await says(held, 'Ctrl-C gives the agent back');
  expect(await playground.json<Lease[]>(['lease', 'list'])).toMatchObject([{ agent: 'code/slow-1', borrower: 'poor' }]);
  held.child.kill('SIGINT');
  const { code, stderr } = await held.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('code/slow-1 is given back');
  expect(await playground.json(['lease', 'list'])).toEqual([]);
});

test('Ctrl-C of an agent says what becomes of its task; a second one does not wait', async () => {
  const agent = await playground.agent([
    '--type',
    'busy',
    '--name',
    'b',
    '--drain',
    '5m',
    '--exec',
    'echo begun; sleep 600',
  ]);
  await playground.run(['task', 'submit', '--swarm', 'code', '--type', 'busy', '--max-attempts', '1']);
  await says(agent, 'attempt 1 starts');
  agent.child.kill('SIGINT');
  await says(agent, 'a task may finish within 5m');
  let hasEnded = false;
  void agent.ended.then(() => {
    hasEnded = true;
  });
  await until(() => {
    if (!hasEnded) agent.child.kill('SIGINT');
    return hasEnded;
  }, PATIENCE_MS);
  expect(await agent.ended).toMatchObject({ code: 130, signal: null });
});

test('agents, leases and federations are listed; a swarm is removed with its own key', async () => {
  const agents = await playground.run(['agent', 'list']);
  expect(agents.stdout).toMatch(/^AGENT +STATE +BUSY +HEARD +TYPE/);
  await until(async () => {
    const all = await playground.json<Agent[]>(['agent', 'list']);
    return all.some(({ name, lastHeartbeatAt }) => name === 'slow-1' && lastHeartbeatAt !== undefined);
  }, PATIENCE_MS);
  expect((await playground.run(['agent', 'list', '-o', 'name'])).stdout).toContain('agent/code/slow-1');
  expect(await playground.json(['federation', 'list'])).toMatchObject([{ name: 'main' }]);
  expect(await playground.run(['deregister-swarm', 'poor'])).toMatchObject({
    ...{ code: 0, stdout: 'swarm poor is removed from main\n' },
  });
  expect((await playground.run(['deregister-swarm', 'poor'])).code).toBe(4);
});

test.each<[readonly string[], RegExp]>([
  [
    ['task', 'submit', '--swarm', 'code', '--type', 'x', '--payload', '1', '--script', 'echo'],
    /--payload: .*one of them/,
  ],
  [
    ['task', 'submit', '--swarm', 'code', '--type', 'x', '--payload', '{"a": 1e400}'],
    /--payload: .* too large .* at a/,
  ],
  [['task', 'submit', '--swarm', 'code', '--type', 'x', '--timeout', '1ms'], /--timeout: 1ms must be/],
  [['task', 'submit'], /required options '--swarm <name>' and '--type <type>' not specified/],
  [['status', '--nats', 'foo://x'], /--nats: "foo:\/\/x" must be HOST:PORT, nats:\/\/HOST:PORT/],
  [['agent', 'run', '--swarm', 'code', '--type', 'x', '--exec', ''], /--exec: "" must be a command/],
  [['agent', 'run', '--swarm', 'code', '--type', 'x', '--', 'no-such-program'], /no program that the PATH has/],
])('%j is refused with field, value and rule', async (args, message) => {
  const { code, stdout, stderr } = await playground.run(args);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(message);
});

test('a variable of ours that nobody knows is refused, with what was meant', async () => {
  const { code, stderr } = await playground.start(['status'], { HIVEBUS_NAST: 'nats://x' }).ended;
  expect(code).toBe(2);
  expect(stderr).toContain('HIVEBUS_NAST: "nats://x" is not a setting of Hivebus; did you mean HIVEBUS_NATS?');
});

test('events of a swarm that nobody knows: it is waited for, and told', async () => {
  const events = playground.start(['events', '--swarm', 'cod', '--task', 'nothing']);
  await says(events, 'waiting for swarm cod, which is not registered; did you mean code?');
  await says(events, 'waiting for it');
  events.child.kill('SIGINT');
  expect((await events.ended).code).toBe(0);
});

test('up says that it stops and where everything is kept', async () => {
  up.child.kill('SIGINT');
  up.child.kill('SIGINT'); // as npm passes it on: still the same key press
  const { code, stderr } = await up.ended;
  expect(code).toBe(0);
  expect(stderr).toContain('everything is kept in .hivebus');
});
