import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

/** The contracts in a folder of their own, where git knows no main: they are held against the image that lies there. */

const source = fileURLToPath(new URL('../..', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'hivebus-contracts-'));
afterAll(() => rmSync(root, { recursive: true }));
for (const name of ['proto', 'tools', 'buf.yaml']) cpSync(join(source, name), join(root, name), { recursive: true });
symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'));

const file = join(root, 'proto/hivebus/registry/v1/registry.proto');
const before = readFileSync(file, 'utf8');

function breaking(change: (text: string) => string): Promise<{ code: number; said: string }> {
  writeFileSync(file, change(before));
  return new Promise((resolve) => {
    execFile(process.execPath, ['tools/breaking.mjs'], { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error ? 1 : 0, said: stdout + stderr });
    });
  });
}

test('a field may be added', async () => {
  const added = (text: string) =>
    text.replace(/(message CompareSwarmsRequest \{)/, '$1\n  // New.\n  string how = 99;');
  expect(await breaking(added)).toEqual({ code: 0, said: '' });
});

test('what has landed may not be renamed, removed or given another number', async () => {
  const renamed = await breaking((text) => text.replace('string left = 1;', 'string first = 1;'));
  expect(renamed).toMatchObject({ code: 1, said: expect.stringContaining('changed name from "left" to "first"') });
  const removed = await breaking((text) => text.replace('string right = 2;', ''));
  expect(removed).toMatchObject({ code: 1, said: expect.stringContaining('"2" with name "right" on message') });
  const renumbered = await breaking((text) => text.replace('string right = 2;', 'string right = 3;'));
  expect(renumbered.code).toBe(1);
});
