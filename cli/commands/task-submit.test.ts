import { expect, test } from 'vitest';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { SAMPLES } from '../kinds/fixtures.ts';
import { waitsText } from './task-submit.ts';

test('who submits a task that nobody can take is told what it waits for', () => {
  const [ended, sample] = (SAMPLES.task ?? []) as [Task, Task];
  const task: Task = { ...sample, id: 't', attempts: [] };
  expect(waitsText(ended)).toBe('');
  expect(waitsText({ ...task, state: 'TASK_STATE_BLOCKED' })).toBe('');
  expect(waitsText(task)).toBe(`queued, waits for ${task.waitingFor}; hivebus explain t says more`);
});
