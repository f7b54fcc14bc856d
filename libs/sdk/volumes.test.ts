import { existsSync, mkdtempSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { notFound } from '../kernel/errors.ts';
import { Volumes } from './volumes.ts';

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'hivebus-volumes-'));
  onTestFinished(() => rmSync(made, { recursive: true }));
  return join(made, 'data');
}

test("a folder is its task's alone, is found again, and is its user's alone", async () => {
  const data = folder();
  const volumes = await Volumes.open(data, 'main');
  const { work = '', cache } = await volumes.of('t1', ['work', 'cache']);
  expect(cache).toBe(join(data, 'volumes', 'main', 't1', 'cache'));
  expect(statSync(work).mode & 0o777).toBe(0o700);
  writeFileSync(join(work, 'left'), 'here');
  const again = await Volumes.open(data, 'main');
  expect(existsSync(join((await again.of('t1', ['work'])).work ?? '', 'left'))).toBe(true);
  await volumes.remove('t1');
  expect(existsSync(join(data, 'volumes', 'main', 't1'))).toBe(false);
});

test('agents with one data folder are one host, whoever made it; other folders are other hosts', async () => {
  const data = folder();
  const all = await Promise.all(Array.from({ length: 12 }, () => Volumes.open(data, 'main')));
  expect(new Set(all.map(({ host }) => host)).size).toBe(1);
  expect(all[0]?.labels).toEqual({ 'hivebus-volumes': 'yes', 'hivebus-host': all[0]?.host });
  expect((await Volumes.open(folder(), 'main')).host).not.toBe(all[0]?.host);
});

test('names that are none, and a folder that cannot be one, are refused', async () => {
  const data = folder();
  const volumes = await Volumes.open(data, 'main');
  await expect(volumes.of('t1', ['../up'])).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  writeFileSync(join(data, 'file'), '');
  const refused = { code: 'FAILED_PRECONDITION', message: expect.stringContaining('cannot be used') };
  await expect(Volumes.open(join(data, 'file'), 'main')).rejects.toMatchObject(refused);
});

test('a sweep removes what tasks have left that ended, and nothing of others', async () => {
  const data = folder();
  const volumes = await Volumes.open(data, 'main');
  for (const task of ['ended', 'runs', 'unknown', 'long-unknown', 'silent']) await volumes.of(task, ['work']);
  const long = Date.now() / 1000 - 9 * 86_400;
  utimesSync(join(data, 'volumes', 'main', 'long-unknown'), long, long);
  const pool = {
    getTask: async ({ id = '' }) => {
      if (id.endsWith('unknown')) throw notFound('task', id);
      if (id === 'silent') throw new Error('no answer');
      return { task: { state: id === 'ended' ? 'TASK_STATE_CANCELLED' : 'TASK_STATE_QUEUED' }, revision: '1' };
    },
  };
  await volumes.sweep(pool as never);
  const left = (task: string) => existsSync(join(data, 'volumes', 'main', task));
  expect(['ended', 'runs', 'unknown', 'long-unknown', 'silent'].filter(left)).toEqual(['runs', 'unknown', 'silent']);
});
