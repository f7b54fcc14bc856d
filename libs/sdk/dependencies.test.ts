import { expect, test } from 'vitest';
import type { GetTaskResponse } from '../wire/hivebus/pool/v1/pool.ts';
import { dependenciesOf } from './dependencies.ts';

const answers = (results: Record<string, unknown>) => async (id: string) =>
  ({ task: { id, state: 'TASK_STATE_SUCCEEDED', reason: '', result: results[id] }, revision: '1' }) as GetTaskResponse;

test('results come in order; what is too large for all together is left out and said so', async () => {
  const large = 'x'.repeat(400_000);
  const get = answers({ a: { lines: 3 }, b: large, c: large, d: large, e: 1 });
  const found = await dependenciesOf(get, ['a', 'b', 'c', 'd', 'e', 'f']);
  expect(found.map(({ task, omitted }) => [task, omitted])).toEqual([
    ['a', false],
    ['b', false],
    ['c', false],
    ['d', true],
    ['e', false],
    ['f', false],
  ]);
  expect([found[0]?.result, found[3]?.result, found[5]?.result]).toEqual([{ lines: 3 }, undefined, undefined]);
});
