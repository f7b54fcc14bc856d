import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { Playground, type Started } from './hivebus.ts';

/** Commands that go on for long, while everything is killed and started again. */

const PATIENCE_MS = 60_000;
const LOST = 'waiting until it is back';
const BACK = 'back after';

const playground = new Playground();
let up: Started;
beforeAll(async () => {
  up = await playground.up();
});
afterAll(() => playground[Symbol.asyncDispose]());

test('logs, events and waiting go on over a restart of everything, and say so', async () => {
  const file = join(playground.folder, 'go-on');
  const exec = `echo one; while [ ! -e ${file} ]; do sleep 0.1; done; echo two; echo 3`;
  const agent = await playground.agent(['--type', 'slow', '--exec', exec]);
  const events = playground.start(['events']);
  const waiting = playground.start(['task', 'submit', '--swarm', 'code', '--type', 'slow', '--wait', '-o', 'json']);
  await until(() => waiting.said().includes('running on'), PATIENCE_MS);
  const [task] = await playground.json<Task[]>(['task', 'list']);
  const logs = playground.start(['task', 'logs', '-f', task?.id ?? '']);
  await until(() => logs.said().includes('one'), PATIENCE_MS);
  await until(() => events.said().includes('listening'), PATIENCE_MS);

  up = await playground.killedAndUp(up);
  for (const each of [events, waiting, logs]) await until(() => each.said().includes(BACK), PATIENCE_MS);
  await until(() => agent.said().includes('the pool answers again'), PATIENCE_MS);
  writeFileSync(file, '');

  const ended = await Promise.all([waiting.ended, logs.ended]);
  expect(ended.map(({ code }) => code)).toEqual([0, 0]);
  expect(JSON.parse(ended[0].stdout)).toMatchObject({ state: 'TASK_STATE_SUCCEEDED', result: 3 });
  expect(ended[1].stdout).toBe('one\ntwo\n3\n');
  await until(() => events.said().includes('pool.task.ended'), PATIENCE_MS);
  for (const each of [events, waiting, logs]) expect(each.said()).toContain(LOST);
});
