import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { requireNoneUp } from './already-up.ts';
import { findRun, type RunFile, readRun, writeRun } from './run-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'hivebus-run-'));
afterAll(() => rmSync(folder, { recursive: true }));
const data = join(folder, '.hivebus');
const RUN: RunFile = {
  nats: 'nats://127.0.0.1:4222',
  grpc: '127.0.0.1:7701',
  pid: process.pid,
  home: data,
  operator: 'local',
  startedAt: '2026-01-01T00:00:00.000Z',
};

test('what was written is found from below', async () => {
  await writeRun(data, { ...RUN, monitoring: 'http://127.0.0.1:8222' });
  mkdirSync(join(folder, 'a', 'b'), { recursive: true });
  expect(findRun(join(folder, 'a', 'b'))).toEqual({ ...RUN, monitoring: 'http://127.0.0.1:8222' });
});

test.each<[string, unknown]>([
  ['nothing', ''],
  ['half of it', JSON.stringify(RUN).slice(0, 40)],
  ['another kind of value', [RUN]],
  ['null', null],
  ['no addresses', { pid: process.pid }],
  ['an address that is none', { ...RUN, nats: 'http://some where' }],
  ['an address that is a number', { ...RUN, nats: 4222 }],
  ['a process that is none', { ...RUN, pid: -1 }],
  ['all processes', { ...RUN, pid: 0 }],
  ['a process by name', { ...RUN, pid: 'init' }],
  ['a folder that is none', { ...RUN, home: 7 }],
  ['an operator who is a path', { ...RUN, operator: '../../root' }],
  ['an address of monitoring that is none', { ...RUN, monitoring: {} }],
])('a file that holds %s says that nothing runs', (_, content) => {
  writeFileSync(join(data, 'run.json'), typeof content === 'string' ? content : JSON.stringify(content));
  expect(readRun(data)).toBeUndefined();
  requireNoneUp(data);
});
