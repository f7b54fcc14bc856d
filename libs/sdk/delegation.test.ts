import { expect, test } from 'vitest';
import { within } from './context.ts';
import { delegating, taskOfEnvironment } from './delegation.ts';
import type { Hive } from './hive.ts';

/** Keeps what it was asked. */
function recorder(): { pool: Hive['pool']; asked: object[] } {
  const asked: object[] = [];
  const take = async (request: object) => void asked.push(request);
  return { asked, pool: { submitTask: take, submitTasks: take, submitGroup: take } as unknown as Hive['pool'] };
}

const by = (parent: string) => ({ origin: { parent, replayOf: '' } });

test('a submission says which task delegates it: where it is handled, else that of the environment', async () => {
  const { pool, asked } = recorder();
  const alone = delegating(pool, 'main', undefined);
  await alone.submitTask({ id: 'a' });
  await within({ trace: undefined, task: { federation: 'main', task: 't1' } }, async () => {
    await alone.submitTask({ id: 'b' });
    await alone.submitTask({ id: 'c', ...by('other') });
    await alone.submitGroup({ id: 'g' });
    await delegating(pool, 'elsewhere', undefined).submitTask({ id: 'd' });
  });
  const command = delegating(pool, 'main', taskOfEnvironment({ HIVEBUS_FEDERATION: 'main', HIVEBUS_TASK_ID: 't2' }));
  await command.submitTasks({ tasks: [{ id: 'e', spec: undefined, idempotent: false, dryRun: false }] });
  expect(asked).toMatchObject([
    { id: 'a' },
    { id: 'b', ...by('t1') },
    { id: 'c', ...by('other') },
    { id: 'g', ...by('t1') },
    { id: 'd' },
    { tasks: [{ id: 'e', ...by('t2') }] },
  ]);
  expect(asked[0]).not.toHaveProperty('origin');
  expect(asked[4]).not.toHaveProperty('origin');
});

test('what is no name in the environment is nobody', () => {
  expect(taskOfEnvironment({})).toBeUndefined();
  expect(taskOfEnvironment({ HIVEBUS_FEDERATION: 'main', HIVEBUS_TASK_ID: 'No Name' })).toBeUndefined();
});
