import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../libs/sdk/connect.ts';
import type { RebalancePlan } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { Playground } from './hivebus.ts';

/** Work of one swarm that agents of another do: sent by an operator, and taken by idle agents themselves. */

const playground = new Playground();
beforeAll(async () => {
  await playground.up();
  await playground.run(['register-swarm', 'poor']);
});
afterAll(() => playground[Symbol.asyncDispose]());

const done = (id: string) => playground.taskIn(id, 'SUCCEEDED');

test('rebalance says what it would do, does it, and has nothing to do then', async () => {
  for (const name of ['one', 'two']) await playground.agent(['--type', 'sent', '--name', name, '--exec', 'echo 1']);
  const ids = [await playground.submit('poor', 'sent'), await playground.submit('poor', 'sent')];
  const dry = await playground.run(['rebalance', '--dry-run', '--high', '100']);
  expect(dry.stdout).toContain('code/one');
  expect(dry.stdout).toContain('swarm poor has 2 tasks for 0 slots, over 100%');
  const plan = await playground.json<RebalancePlan>(['rebalance', '--high', '100', '--term', '1s']);
  expect(plan.moves.map(({ agent }) => agent)).toEqual(['code/one', 'code/two']);
  for (const id of ids) await done(id);
  expect((await playground.run(['rebalance', '--dry-run'])).stdout.trim()).toBe('no agent needs to move');
  const wrong = await playground.run(['rebalance', '--low', '90', '--high', '50']);
  expect([wrong.code !== 0, wrong.stderr.includes('at least --low and --reserve together')]).toEqual([true, true]);
});

test('an idle agent takes what has waited long elsewhere, and explain says so', async () => {
  const { nats } = JSON.parse(readFileSync(join(playground.folder, '.hivebus', 'run.json'), 'utf8')) as {
    nats: string;
  };
  const home = join(playground.folder, '.hivebus');
  await using hive = await connect({ servers: nats, home, identity: { kind: 'operator', name: 'local' }, env: {} });
  const { policy } = await hive.pool.setPolicy({ stealAfterMs: 300 });
  expect(policy?.stealAfterMs).toBe(300);
  expect((await hive.pool.setPolicy({ typicalCost: 100 })).policy?.stealAfterMs).toBe(300); // what is not said stays
  await playground.agent(['--type', 'taken', '--name', 'three', '--exec', 'echo 1']);
  const id = await playground.submit('poor', 'taken');
  expect(await done(id)).toMatchObject({ attempts: [{ agent: 'code/three' }] });
  const told = await playground.run(['explain', id]);
  expect(told.stdout).toContain('which was idle and taken for it');
  expect((await hive.pool.setPolicy({ stealAfterMs: 0 })).policy?.stealAfterMs).toBe(0);
});

test('where the policy says so the pool rebalances by itself, and tells what it did and why', async () => {
  const last = async () => (await playground.run(['rebalance', '--last'])).stdout.replaceAll(/\s+/g, ' ');
  expect(await last()).toContain('the pool does not rebalance by itself; hivebus set policy --rebalance 30s lets it');
  await playground.agent(['--type', 'found', '--name', 'four', '--exec', 'echo 1']);
  const set = await playground.run(['set', 'policy', '--rebalance', '1s', '--rebalance-looks', '1']);
  expect(set.code, set.stderr).toBe(0);
  const { stdout: policy } = await playground.run(['describe', 'policy/main']);
  expect(policy).toContain('every 1s, who is over 90% gets agents, lent, after 1 look, 16 at once at most');
  const id = await playground.submit('poor', 'found');
  expect(await done(id)).toMatchObject({ attempts: [{ agent: 'code/four' }] });
  const told = await last();
  expect(told).toContain('the pool looks every 1s');
  expect(told).toContain('swarm poor has 1 task for 0 slots, over 90%');
  await playground.run(['set', 'policy', '--rebalance', '0s']);
  expect(await last()).toContain('the pool does not rebalance by itself any more');
});
