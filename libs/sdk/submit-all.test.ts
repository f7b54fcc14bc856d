import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { SubmitTasksRequest } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';
import { submitAll } from './submit-all.ts';

type Pool = Pick<Hive, 'pool'>;
const TASK = { spec: { swarm: 'code', type: 'lint' } };
const noAnswer = new HiveError('DEADLINE_EXCEEDED', 'no answer in time; what was asked may have happened');
const noResponders = new HiveError('UNAVAILABLE', 'nothing serves pool', { reason: 'NO_RESPONDERS' });

/** A pool that keeps what it is given, whatever it says of it: `say` gets the number of the call and throws, or does not. */
function pool(say: (call: number) => void): Pool & { readonly kept: Set<string> } {
  const kept = new Set<string>();
  let calls = 0;
  const submitTasks = async ({ tasks = [] }: Partial<SubmitTasksRequest>) => {
    const answered = tasks.map(({ id }) => {
      const created = !kept.has(id);
      kept.add(id);
      return { id, created, state: 'TASK_STATE_QUEUED', agent: '', refusal: undefined };
    });
    say(++calls);
    return { tasks: answered, revision: '1' };
  };
  return { kept, pool: { submitTasks } as unknown as Hive['pool'] };
}

/** Time that passes by itself, as far as somebody waits for it. */
function quickClock(): Clock {
  let time = 0;
  return {
    now: () => time,
    monotonic: () => time,
    after(ms, run) {
      time += ms;
      queueMicrotask(run);
      return { [Symbol.dispose]() {} };
    },
    defer: queueMicrotask,
  };
}

const throwing = (error: HiveError, calls: readonly number[]) => (call: number) => {
  if (calls.includes(call)) throw error;
};

test('a call that nobody answers in time is made again, and makes nothing twice', async () => {
  const { kept, ...hive } = pool(throwing(noAnswer, [1, 2]));
  const given = { ...TASK, id: 'mine' };
  const outcomes = await submitAll(hive, [TASK, given], { clock: quickClock() });
  expect(outcomes.map(({ error }) => error)).toEqual([undefined, undefined]);
  expect(kept.size).toBe(2);
  // Whose id was made here is surely ours; of the other one nobody knows.
  expect(outcomes.map(({ created }) => created)).toEqual([true, false]);
});

test('when patience is over each task says that nobody knows what became of it', async () => {
  const always = () => {
    throw noAnswer;
  };
  const outcomes = await submitAll(pool(always), [TASK, TASK], { clock: quickClock(), patienceMs: 1000 });
  expect(outcomes.map(({ error, created }) => [error?.code, created])).toEqual([
    ['DEADLINE_EXCEEDED', false],
    ['DEADLINE_EXCEEDED', false],
  ]);
});

test('where there is nobody to begin with, that is said at once', async () => {
  const submitting = submitAll(pool(throwing(noResponders, [1])), [TASK], { clock: quickClock() });
  await expect(submitting).rejects.toThrow(noResponders);
});

test('who is gone meanwhile is waited for', async () => {
  const many = Array.from({ length: 1001 }, () => TASK);
  const { kept, ...hive } = pool(throwing(noResponders, [2, 3]));
  const outcomes = await submitAll(hive, many, { clock: quickClock() });
  expect(outcomes.filter(({ error, created }) => error || !created)).toEqual([]);
  expect(kept.size).toBe(1001);
});
