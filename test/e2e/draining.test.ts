import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Agent } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { isAlive, Playground } from './hivebus.ts';

/** Agents as processes that are taken out of service, by a signal and by the command. */

const playground = new Playground();
beforeAll(() => playground.up());
afterAll(() => playground[Symbol.asyncDispose]());

let kinds = 0;
const newType = (): string => `drained-${++kinds}`;

const submit = (type: string) => playground.submit('code', type, ['--max-attempts', '1']);
const agent = (name: string): Promise<Agent> => playground.json<Agent>(['get', 'agent', name]);
const pidIn = (id: string): Promise<number> =>
  until(async () => Number(/^\d+$/m.exec((await playground.run(['task', 'logs', id])).stdout)?.[0]), 60_000);

/** Runs until somebody ends it at its first attempt; the second is over at once. */
const STAYS = 'echo $$; [ $HIVEBUS_ATTEMPT -gt 1 ] || sleep 600; echo 1';

test('SIGTERM: nothing new, what runs has its time, and the rest is another’s at once, with no attempt used up', async () => {
  const type = newType();
  const first = await playground.agent(['--type', type, '--name', 'one', '--drain', '3s', '--exec', STAYS]);
  const running = await submit(type);
  const pid = await pidIn(running);
  first.child.kill('SIGTERM');
  await playground.agent(['--type', type, '--name', 'two', '--exec', STAYS]);
  const { code } = await first.ended;
  expect(code).toBe(0);
  const task = await playground.taskIn(running, 'SUCCEEDED');
  expect(task.attempts.map(({ agent, outcome }) => [agent, outcome])).toEqual([
    ['code/one', 'OUTCOME_MOVED'],
    ['code/two', 'OUTCOME_SUCCEEDED'],
  ]);
  expect(isAlive(pid)).toBe(false);
});

test('hivebus agent drain: the agent stays and idles, its task moves, and resume undoes it', async () => {
  const type = newType();
  const name = `code/${type}`;
  await playground.agent(['--type', type, '--name', type, '--exec', STAYS]);
  const running = await submit(type);
  const pid = await pidIn(running);
  const drained = await playground.run(['agent', 'drain', name, '--grace', '0s', '--reason', 'new disk']);
  expect(drained.stdout).toMatch(/drain(ing|ed)/);
  expect(await playground.task(running)).toMatchObject({ attempts: [{ outcome: 'OUTCOME_MOVED' }] });
  await until(() => !isAlive(pid), 60_000);
  await until(async () => (await agent(name)).drain?.done === true, 60_000);
  expect((await playground.task(running)).state).toBe('TASK_STATE_QUEUED');
  expect((await playground.run(['agent', 'resume', name])).stdout).toContain('ready');
  expect(await playground.taskIn(running, 'SUCCEEDED')).toMatchObject({ attempts: [{}, { agent: name }] });
});
