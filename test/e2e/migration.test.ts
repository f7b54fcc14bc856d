import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Agent, Migration, Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { isAlive, Playground, type Started } from './hivebus.ts';

/** Agents as processes that move to another swarm, and are killed at every step of it; so are the services and the bus. */

const PATIENCE_MS = 60_000;
const playground = new Playground();
let up: Started;
beforeAll(async () => {
  up = await playground.up();
  for (const swarm of ['code', 'docs']) await playground.run(['register-swarm', swarm]);
}, 120_000);
afterAll(() => playground[Symbol.asyncDispose]());

let kinds = 0;
const newName = (): string => `mover-${++kinds}`;
const fileOf = (...path: string[]): string => readFileSync(join(playground.folder, '.hivebus', ...path), 'utf8');

const migrations = () => playground.json<Migration[]>(['agent', 'migrations', '--all']);
const inState = (name: string, state: string): Promise<Migration> =>
  until(async () => {
    const row = (await migrations()).find(({ agent }) => agent === `code/${name}`);
    return row?.state === `MIGRATION_STATE_${state}` ? row : undefined;
  }, PATIENCE_MS);
const migrate = (name: string, grace: string) =>
  playground.json<{ migration: Migration }>(['agent', 'migrate', `code/${name}`, '--to', 'docs', '--grace', grace]);
const get = (id: string) => playground.json<Task>(['task', 'get', id]);
const taskIn = (id: string, state: string): Promise<Task> =>
  until(async () => {
    const task = await get(id);
    return task.state === `TASK_STATE_${state}` ? task : undefined;
  }, PATIENCE_MS);
const submit = async (swarm: string, type: string): Promise<string> =>
  (await playground.json<Task>(['task', 'submit', '--swarm', swarm, '--type', type])).id;

/** Works where it is sent to, and nowhere else. */
async function worksInDocs(name: string): Promise<void> {
  expect(await playground.json<Agent>(['get', 'agent', `docs/${name}`])).toMatchObject({ swarm: 'docs', name });
  expect((await playground.run(['get', 'agent', `code/${name}`])).code).not.toBe(0);
  const done = await taskIn(await submit('docs', name), 'SUCCEEDED');
  expect(done.attempts.at(-1)?.agent).toBe(`docs/${name}`);
}

const run = (name: string, exec = 'echo 1') => playground.agent(['--type', name, '--name', name, '--exec', exec]);

test('killed while it drains, while it is to go, and when it has gone: started anew it ends up there each time', async () => {
  const name = newName();
  const goOn = join(playground.folder, name);
  const exec = `[ -e ${goOn} ] || sleep 600; echo 1`;
  let agent = await run(name, exec);
  const running = await submit('code', name);
  await taskIn(running, 'RUNNING');
  await migrate(name, '1h');
  await inState(name, 'DRAINING');
  agent.child.kill('SIGKILL');
  await inState(name, 'TRANSFERRING'); // what it ran is lost, so nothing of it runs any more
  writeFileSync(goOn, '');
  agent = await run(name, exec);
  await inState(name, 'ACTIVE');
  await until(() => agent.said().includes(`has moved to swarm docs, as docs/${name}`), PATIENCE_MS);
  await worksInDocs(name);
  expect(await get(running)).toMatchObject({ state: 'TASK_STATE_QUEUED', attempts: [{ outcome: 'OUTCOME_LOST' }] });
  agent.child.kill('SIGKILL');
  await agent.ended;
  agent = await run(name, exec);
  await worksInDocs(name);
  agent.child.kill('SIGTERM');
  expect(await agent.ended).toMatchObject({ code: 0, stderr: expect.stringContaining(`agent docs/${name} has left`) });
});

test('services and bus killed while it drains: the journal goes on, and so does the move', async () => {
  const name = newName();
  const goOn = join(playground.folder, name);
  const agent = await run(name, `while [ ! -e ${goOn} ]; do sleep 0.1; done; echo 1`);
  const running = await submit('code', name);
  await taskIn(running, 'RUNNING');
  await migrate(name, '1h');
  const { nats } = JSON.parse(fileOf('run.json')) as { nats: string };
  const bus = Number(fileOf('nats', 'nats.pid'));
  up.child.kill('SIGKILL');
  await up.ended;
  await until(() => !isAlive(bus), PATIENCE_MS);
  up = playground.start(['up', '--port', new URL(nats).port, '--grpc-port', '0']);
  await until(() => up.said().includes('Hivebus is up'), PATIENCE_MS);
  await inState(name, 'DRAINING');
  expect(existsSync(goOn)).toBe(false);
  writeFileSync(goOn, '');
  expect(await taskIn(running, 'SUCCEEDED')).toMatchObject({ attempts: [{ agent: `code/${name}` }] });
  await inState(name, 'ACTIVE');
  await worksInDocs(name);
  agent.child.kill('SIGTERM');
  await agent.ended;
});
