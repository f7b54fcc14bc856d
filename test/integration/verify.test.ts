import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import { isAlive } from '../e2e/hivebus.ts';

// `verify` with stand-ins for the programs that it runs.

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hivebus-verify-'));
  cpSync(fileURLToPath(new URL('../../tools', import.meta.url)), join(root, 'tools'), { recursive: true });
  mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true });
  fake(
    'biome',
    `sleep 600 & echo $! > '${root}/pid.new'; mv '${root}/pid.new' '${root}/pid'; echo reading files; wait`,
  );
  fake('buf', 'exit 0');
});
afterEach(() => rmSync(root, { recursive: true }));

function fake(program: string, script: string): void {
  const path = join(root, 'node_modules', '.bin', program);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function verify(...args: string[]): ChildProcess & { said: string } {
  const child = spawn(process.execPath, [join(root, 'tools', 'verify.mjs'), ...args], { cwd: root });
  const verifying = Object.assign(child, { said: '' });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      verifying.said += text;
    });
  }
  return verifying;
}

const startedPid = (): number => Number(readFileSync(join(root, 'pid'), 'utf8'));

test('a check that hangs is named and ended with what it started; the others go on', async () => {
  const verifying = verify('--limit', '5', 'format and lint', 'protos');
  expect(await once(verifying, 'close')).toEqual([1, null]);
  expect(verifying.said).toMatch(
    /^FAILED {2}format and lint \([\d.]+ s\)\n.*no end after 5 s, it was killed.*:\nreading files\n/,
  );
  expect(verifying.said).toMatch(/\nok {6}protos .*\nverify: FAILED: format and lint\n$/);
  await until(() => !isAlive(startedPid()));
});

test('who interrupts it ends the check that runs, and is told which', async () => {
  const verifying = verify('format and lint', 'protos');
  await until(() => existsSync(join(root, 'pid')), 30_000);
  verifying.kill('SIGTERM');
  expect(await once(verifying, 'close')).toEqual([130, null]);
  expect(verifying.said).toMatch(/^verify: interrupted in: format and lint/);
  await until(() => !isAlive(startedPid()));
});

test('a check that is not known, or a limit that is none, is wrong usage', async () => {
  for (const args of [['--limit=-3'], ['--limit', 'NaN'], ['speling']]) {
    const verifying = verify(...args);
    expect(await once(verifying, 'close')).toEqual([2, null]);
    expect(verifying.said).toMatch(
      /^verify: (.*must be 1 to 86400 \(seconds\)|no check is called speling; checks: .*)\n$/,
    );
  }
});
