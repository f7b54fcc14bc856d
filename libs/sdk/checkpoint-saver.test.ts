import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { CheckpointSaver } from './checkpoint-saver.ts';

/** Answers each store when it is told to. */
class Slow {
  readonly asked: unknown[] = [];
  readonly #waiting: ((error?: HiveError) => void)[] = [];

  readonly send = (data: unknown): Promise<void> => {
    this.asked.push(data);
    return new Promise((resolve, reject) => this.#waiting.push((error) => (error ? reject(error) : resolve())));
  };

  async answer(error?: HiveError): Promise<void> {
    this.#waiting.shift()?.(error);
    await new Promise(setImmediate);
  }
}

test('one is on its way, and of those that wait the newest counts for all', async () => {
  const pool = new Slow();
  const saver = new CheckpointSaver(pool.send);
  const stored: number[] = [];
  for (const each of [1, 2, 3]) void saver.save(each).then(() => stored.push(each));
  expect(pool.asked).toEqual([1]);
  await pool.answer();
  expect([pool.asked, stored]).toEqual([[1, 3], [1]]);
  await pool.answer();
  expect(stored).toEqual([1, 2, 3]);
  void saver.save(4);
  expect(pool.asked).toEqual([1, 3, 4]);
});

test('a refusal is told to who asked for it, and the next one is stored', async () => {
  const pool = new Slow();
  const saver = new CheckpointSaver(pool.send);
  const first = saver.save(1);
  const second = saver.save(2);
  await pool.answer(new HiveError('ABORTED', 'not yours'));
  await expect(first).rejects.toMatchObject({ code: 'ABORTED' });
  await pool.answer();
  await second;
});

test('what is on its way can be waited for, and after the end nothing is taken', async () => {
  const pool = new Slow();
  const saver = new CheckpointSaver(pool.send);
  void saver.save(1);
  void saver.save(2);
  saver.close();
  let flushed = false;
  void saver.flushed().then(() => {
    flushed = true;
  });
  await pool.answer();
  expect(flushed).toBe(false);
  await pool.answer();
  expect(flushed).toBe(true);
  await expect(saver.save(3)).rejects.toMatchObject({ code: 'ABORTED' });
});
