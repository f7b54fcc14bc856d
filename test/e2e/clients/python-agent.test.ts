import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../../libs/sdk/connect.ts';
import type { Hive } from '../../../libs/sdk/hive.ts';
import { until } from '../../../libs/testkit/until.ts';
import { isAlive, Playground, type Started } from '../hivebus.ts';
import { pythonStubs, pythonWithGrpc, ROOT } from './programs.ts';

/** The agent in Python, by its session alone, with real processes and real signals. */

const PATIENCE_MS = 60_000;
const python = pythonWithGrpc() ?? '';

let playground: Playground;
let up: Started;
let stubs: NodeJS.ProcessEnv;

const places = () => JSON.parse(playground.kept('run.json')) as { nats: string; grpc: string };

beforeAll(async () => {
  if (python === '') return;
  playground = new Playground();
  up = await playground.up();
  stubs = await pythonStubs(python, playground.folder);
  const { code, stderr } = await playground.run(['federation', 'join', '--swarm', 'py']);
  expect(code, stderr).toBe(0);
});
afterAll(() => playground?.[Symbol.asyncDispose]());

/** An operator's connection: it sees a task between its steps also where a command takes seconds to start. */
const operator = () =>
  connect({
    servers: places().nats,
    home: join(playground.folder, '.hivebus'),
    identity: { kind: 'operator', name: 'local' },
    env: {},
  });

/** Resolves when a task that runs has stored its second checkpoint. */
const atSecondStep = (hive: Hive, id: string) =>
  until(async () => ((await hive.pool.getTask({ id })).task?.checkpoint?.number ?? 0) > 1, PATIENCE_MS);

/** The example, ready for work; with the key that the swarm was registered with. */
async function agent(name: string, slots = 1): Promise<Started> {
  const program = join(ROOT, 'examples', 'python-agent', 'agent.py');
  const key = join(playground.folder, '.hivebus', 'keys', 'swarm-main-py.key');
  const args = [program, places().grpc, key, 'py', name, 'shout', String(slots)];
  const started = playground.other(python, args, { ...stubs, PYTHONUNBUFFERED: '1' });
  await until(() => started.said().includes('is ready'), PATIENCE_MS);
  return started;
}

const submit = (payload: object, ...more: string[]) =>
  playground.submit('py', 'shout', ['--payload', JSON.stringify(payload), ...more]);

async function leaves({ child, ended }: Started): Promise<void> {
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
}

test.skipIf(python === '')('it registers, works on tasks, tells its lines, is cancelled, and leaves', async () => {
  const started = await agent('one', 4);
  const ids = await Promise.all(['a', 'b', 'c'].map((text) => submit({ text })));
  const done = await Promise.all(ids.map((id) => playground.taskIn(id, 'SUCCEEDED')));
  expect(done.map(({ result }) => result)).toEqual(['A', 'B', 'C'].map((text) => ({ text })));
  expect((await playground.run(['task', 'logs', ids[0] ?? ''])).stdout).toBe('shouting a\n');

  const long = await submit({ text: 'long', seconds: 600 });
  await playground.taskIn(long, 'RUNNING');
  expect((await playground.run(['task', 'cancel', long])).code).toBe(0);
  const { attempts } = await playground.taskIn(long, 'CANCELLED');
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['OUTCOME_CANCELLED']);
  await until(() => started.said().includes(`${long} ends: OUTCOME_CANCELLED`), PATIENCE_MS);

  const wrong = await submit({ no: 'text' });
  expect((await playground.taskIn(wrong, 'FAILED')).attempts.at(-1)?.reason).toContain('KeyError');
  await leaves(started);
  const agents = await playground.json<{ name: string }[]>(['agent', 'list']);
  expect(agents.map(({ name }) => name)).not.toContain('one');
});

test.skipIf(python === '')('killed with -9, its task goes on at another, from the last checkpoint', async () => {
  await using hive = await operator();
  const first = await agent('first');
  const id = await submit({ text: 'twice', seconds: 12 }, '--resume');
  await atSecondStep(hive, id);
  first.child.kill('SIGKILL');
  const second = await agent('second');
  const task = await playground.taskIn(id, 'SUCCEEDED');
  expect(task.attempts.map(({ agent: by, outcome }) => [by, outcome])).toEqual([
    ['py/first', 'OUTCOME_LOST'],
    ['py/second', 'OUTCOME_SUCCEEDED'],
  ]);
  const { stdout } = await playground.run(['task', 'logs', id]);
  expect(stdout).toMatch(/^shouting twice\nshouting twice, from second \d+ on\n$/);
  await leaves(second);
});

test.skipIf(python === '')('when the server is killed and comes back, it goes on with what it does', async () => {
  const started = await agent('steady');
  const id = await submit({ text: 'steady', seconds: 1 });
  await until(() => started.said().includes(`${id} starts`), PATIENCE_MS);
  const { nats, grpc } = places();
  const bus = Number(playground.kept('nats', 'nats.pid'));
  up.child.kill('SIGKILL');
  await up.ended;
  await until(() => !isAlive(bus), PATIENCE_MS);
  await until(() => started.said().includes('the session broke'), PATIENCE_MS);
  up = playground.start(['up', '--port', new URL(nats).port, '--grpc-port', grpc.split(':')[1] ?? '']);
  await until(() => up.said().includes('Hivebus is up'), PATIENCE_MS);
  const task = await playground.taskIn(id, 'SUCCEEDED');
  expect(task.result).toEqual({ text: 'STEADY' });
  expect(await playground.taskIn(await submit({ text: 'again' }), 'SUCCEEDED')).toMatchObject({
    result: { text: 'AGAIN' },
  });
  await leaves(started);
});

/** Registers a swarm with a key of this host. */
async function joined(swarm: string): Promise<string> {
  expect((await playground.run(['federation', 'join', '--swarm', swarm])).code).toBe(0);
  return join(playground.folder, '.hivebus', 'keys', `swarm-main-${swarm}.key`);
}

test.skipIf(python === '')(
  'it stays where it is when its host does not have the key of the swarm that it shall go to',
  async () => {
    const key = await joined('elsewhere');
    renameSync(key, `${key}.away`);
    const started = await agent('settled');
    await playground.run(['agent', 'migrate', 'py/settled', '--to', 'elsewhere']);
    await until(
      () => started.said().includes(`cannot move to swarm elsewhere: the key of swarm elsewhere`),
      PATIENCE_MS,
    );
    const task = await playground.taskIn(await submit({ text: 'here' }), 'SUCCEEDED');
    expect(task.attempts.map(({ agent: by }) => by)).toEqual(['py/settled']);
    await leaves(started);
  },
);

test.skipIf(python === '')('moved to another swarm, its task goes on there from the last checkpoint', async () => {
  await joined('there');
  const started = await agent('mover');
  await using hive = await operator();
  const id = await submit({ text: 'far', seconds: 12 }, '--resume');
  await atSecondStep(hive, id);
  const { task: running } = await hive.pool.getTask({ id });
  expect(running?.progress).toMatchObject({ attempt: 1, text: expect.stringMatching(/^second \d+$/) });
  await hive.pool.migrateAgent({ swarm: 'py', name: 'mover', to: 'there', graceMs: 1000 });
  await until(() => started.said().includes('is given nothing new: it moves to swarm there'), PATIENCE_MS);
  await until(() => started.said().includes('there/mover is ready'), PATIENCE_MS);
  const task = await playground.taskIn(id, 'SUCCEEDED');
  expect(task.result).toEqual({ text: 'FAR' });
  expect(task.attempts.map(({ agent: by }) => by)).toEqual(['py/mover', 'there/mover']);
  const { stdout } = await playground.run(['task', 'logs', id]);
  expect(stdout).toMatch(/^shouting far\nshouting far, from second \d+ on\n$/);
  await leaves(started);
});
