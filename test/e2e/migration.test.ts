import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Agent, Migration } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { counting, EACH_STEP_ONCE, linesOf } from './counting.ts';
import { Playground, type Started } from './hivebus.ts';

/** Agents as processes that move to another swarm, and are killed at every step of it; so are the services and the bus. */

const PATIENCE_MS = 60_000;
const playground = new Playground();
let up: Started;
beforeAll(async () => {
  up = await playground.up();
  for (const swarm of ['code', 'docs']) await playground.run(['register-swarm', swarm]);
});
afterAll(() => playground[Symbol.asyncDispose]());

let kinds = 0;
const newName = (): string => `mover-${++kinds}`;

const migrations = () => playground.json<Migration[]>(['agent', 'migrations', '--all']);
const inState = (name: string, state: string): Promise<Migration> =>
  until(async () => {
    const row = (await migrations()).find(({ agent }) => agent === `code/${name}`);
    return row?.state === `MIGRATION_STATE_${state}` ? row : undefined;
  }, PATIENCE_MS);
const migrate = (name: string, grace: string) =>
  playground.json<{ migration: Migration }>(['agent', 'migrate', `code/${name}`, '--to', 'docs', '--grace', grace]);

/** Works where it is sent to, and nowhere else. */
async function worksInDocs(name: string): Promise<void> {
  expect(await playground.json<Agent>(['get', 'agent', `docs/${name}`])).toMatchObject({ swarm: 'docs', name });
  expect((await playground.run(['get', 'agent', `code/${name}`])).code).not.toBe(0);
  const done = await playground.taskIn(await playground.submit('docs', name), 'SUCCEEDED');
  expect(done.attempts.at(-1)?.agent).toBe(`docs/${name}`);
}

const run = (name: string, exec = 'echo 1') => playground.agent(['--type', name, '--name', name, '--exec', exec]);

test('killed while it drains, while it is to go, and when it has gone: started anew it ends up there each time', async () => {
  const name = newName();
  const goOn = join(playground.folder, name);
  const exec = `[ -e ${goOn} ] || sleep 600; echo 1`;
  let agent = await run(name, exec);
  const running = await playground.submit('code', name);
  await playground.taskIn(running, 'RUNNING');
  await migrate(name, '1h');
  await inState(name, 'DRAINING');
  agent.child.kill('SIGKILL');
  await inState(name, 'TRANSFERRING'); // what it ran is lost, so nothing of it runs any more
  writeFileSync(goOn, '');
  agent = await run(name, exec);
  await inState(name, 'ACTIVE');
  await until(() => agent.said().includes(`has moved to swarm docs, as docs/${name}`), PATIENCE_MS);
  await worksInDocs(name);
  // No other agent of its own swarm can have it, so that it goes on where its agent went.
  expect(await playground.taskIn(running, 'SUCCEEDED')).toMatchObject({
    attempts: [{ outcome: 'OUTCOME_LOST' }, { agent: `docs/${name}`, outcome: 'OUTCOME_SUCCEEDED' }],
  });
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
  const running = await playground.submit('code', name);
  await playground.taskIn(running, 'RUNNING');
  await migrate(name, '1h');
  up = await playground.killedAndUp(up);
  await inState(name, 'DRAINING');
  expect(existsSync(goOn)).toBe(false);
  writeFileSync(goOn, '');
  expect(await playground.taskIn(running, 'SUCCEEDED')).toMatchObject({ attempts: [{ agent: `code/${name}` }] });
  await inState(name, 'ACTIVE');
  await worksInDocs(name);
  agent.child.kill('SIGTERM');
  await agent.ended;
});

const hasCheckpoint = (id: string, data: string) =>
  until(async () => (await playground.run(['task', 'checkpoint', id])).stdout.trim() === data, PATIENCE_MS);

/** A task that resumes runs on `code/<name>` and has stored its third step. */
async function atThirdStep(name: string, file: string): Promise<string> {
  await run(name, counting(file));
  const id = await playground.submit('code', name, ['--resume']);
  await hasCheckpoint(id, '3');
  return id;
}

test('a task goes on from its checkpoint on the agent that moved, once the other swarm lends, and says so meanwhile', async () => {
  const name = newName();
  const file = join(playground.folder, `${name}-steps`);
  const id = await atThirdStep(name, file);
  await playground.run(['set', 'lending', 'docs', '--closed']);
  await migrate(name, '1s');
  await inState(name, 'ACTIVE');
  const waits = await playground.task(id);
  expect(waits.waitingFor).toContain(
    `an idle agent of type ${name} of swarm docs, to which its agent code/${name} has moved`,
  );
  const { stdout } = await playground.run(['explain', id]);
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain('swarm docs lends again: its lending is closed');
  await playground.run(['set', 'lending', 'docs', '--open']);
  const done = await playground.taskIn(id, 'SUCCEEDED');
  expect(done).toMatchObject({
    result: { steps: 6 },
    attempts: [{ outcome: 'OUTCOME_MOVED' }, { agent: `docs/${name}` }],
  });
  expect(linesOf(file)).toEqual(EACH_STEP_ONCE);
  const agents = await playground.json<Agent[]>(['get', 'agents']);
  expect(agents.find((each) => each.name === name)).toMatchObject({ swarm: 'docs', serving: 'docs', lease: '' });
});

test('another agent of its own swarm goes on with it first', async () => {
  const name = newName();
  const file = join(playground.folder, `${name}-steps`);
  const id = await atThirdStep(name, file);
  await playground.agent(['--type', name, '--name', `${name}-other`, '--exec', counting(file)]);
  await migrate(name, '1s');
  const done = await playground.taskIn(id, 'SUCCEEDED');
  expect(done.attempts.map(({ agent }) => agent)).toEqual([`code/${name}`, `code/${name}-other`]);
  expect(linesOf(file)).toEqual(EACH_STEP_ONCE);
  await inState(name, 'ACTIVE');
});
