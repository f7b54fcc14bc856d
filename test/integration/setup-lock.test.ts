import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';

// Many setups at once, some of which are killed while they hold the lock.

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hivebus-lock-'));
  cpSync(fileURLToPath(new URL('../../tools', import.meta.url)), join(root, 'tools'), { recursive: true });
  writeFileSync(join(root, 'work.mjs'), WORK);
});
afterEach(() => rmSync(root, { recursive: true }));

/** Takes the lock again and again; notes when two are in. One in eight times it dies with the lock in its hand. */
const WORK = `
import { mkdirSync, rmdirSync, appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { withLock } from './tools/setup/lock.mjs';
process.stdout.write('ready');
await new Promise((resolve) => process.stdin.once('data', resolve));
for (let round = 0; round < 10; round++) {
  await withLock(async () => {
    try { mkdirSync('inside'); } catch { appendFileSync('faults', 'two at once\\n'); }
    await sleep(Math.random() * 3);
    try { rmdirSync('inside'); } catch { appendFileSync('faults', 'gone\\n'); }
    if (Math.random() < 1 / 8) process.kill(process.pid, 'SIGKILL');
  });
}
appendFileSync('done', 'x');
process.exit(0);
`;

function start(): ChildProcess {
  return spawn(process.execPath, ['work.mjs'], { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] });
}

const read = (name: string): string => {
  try {
    return readFileSync(join(root, name), 'utf8');
  } catch {
    return '';
  }
};

test('of many that find a dead lock one takes it, and never two are in', async () => {
  writeFileSync(join(root, '.setup.lock'), '999999999');
  const all = Array.from({ length: 16 }, start);
  const ended = Promise.all(all.map((child) => once(child, 'exit')));
  await Promise.all(all.map((child) => child.stdout && once(child.stdout, 'data')));
  for (const child of all) child.stdin?.write('go');
  const exits = await ended;
  expect(read('faults')).toBe('');
  expect(exits.filter(([code]) => code === 0)).toHaveLength(read('done').length);
  expect(exits.every(([code, signal]) => code === 0 || signal === 'SIGKILL')).toBe(true);
  const last = start();
  last.stdin?.write('go');
  await once(last, 'exit');
  expect(readdirSync(root).filter((name) => name.startsWith('.setup.lock.'))).toEqual([]);
});

test.each([
  ['what is none', 'some words/of others\n', []],
  ['nothing', '', []],
  ['a removal that was cut short', '999999999-ab', [['999999999-ab', '999999998-cd']]],
  [
    'two removals that were cut short',
    '999999999-ab',
    [
      ['999999999-ab', '999999998-cd'],
      ['999999999-ab.999999998-cd', '999999997-ef'],
    ],
  ],
])('a lock that holds %s is taken over', async (_, content, removals) => {
  writeFileSync(join(root, '.setup.lock'), content);
  for (const [name, holder] of removals) writeFileSync(join(root, `.setup.lock.${name}`), holder ?? '');
  const script = "import { withLock } from './tools/setup/lock.mjs'; await withLock(async () => console.log('in'));";
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd: root });
  const [said] = await once(child.stdout, 'data');
  expect(String(said)).toBe('in\n');
  await once(child, 'exit');
  await until(() => readdirSync(root).filter((name) => name.startsWith('.setup')).length === 0);
});
