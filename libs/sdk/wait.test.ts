import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import type { Task, TaskState } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';
import { waitForTask } from './wait.ts';

const task = (state: TaskState): Task => ({ id: 't', state }) as Task;

/** Its watch fails so; when the task is listed again it has ended. */
function failingOnce(error: HiveError): Hive {
  const states: TaskState[] = ['TASK_STATE_RUNNING', 'TASK_STATE_SUCCEEDED'];
  const pool = {
    getTask: async () => ({ task: task(states.shift() ?? 'TASK_STATE_UNSPECIFIED'), revision: '9' }),
    watchTasks: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }),
  };
  return { pool } as unknown as Hive;
}

test.each(['COMPACTED', 'FUTURE_REVISION'])('a watch that ends by %s is begun anew', async (reason) => {
  const faults: string[] = [];
  const hive = failingOnce(new HiveError('OUT_OF_RANGE', 'list again', { reason }));
  const ended = await waitForTask(hive, 't', { onFault: (error) => faults.push(error.reason ?? '') });
  expect(ended.state).toBe('TASK_STATE_SUCCEEDED');
  expect(faults).toContain(reason);
});

test('what will not pass ends the waiting', async () => {
  const hive = failingOnce(new HiveError('NOT_FOUND', 'there is none'));
  await expect(waitForTask(hive, 't')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
