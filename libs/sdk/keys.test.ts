import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { operatorKeyFile, readKey, readOrCreateKey, swarmKeyFile } from './keys.ts';

const home = mkdtempSync(join(tmpdir(), 'hivebus-keys-'));
afterAll(() => rmSync(home, { recursive: true }));

test('a key is made on first use, for its owner only, and is the same afterwards', async () => {
  const file = operatorKeyFile(home, 'ada');
  expect(await readKey(file)).toBeUndefined();
  const keys = await Promise.all([1, 2, 3, 4].map(() => readOrCreateKey(file)));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(home, 'keys')).mode & 0o077).toBe(0);
  for (const key of keys) expect(key.publicKey).toBe(keys[0]?.publicKey);
});

test('a key that others may read is refused with what to do', async () => {
  const file = swarmKeyFile(home, 'main', 'code');
  await readOrCreateKey(file);
  chmodSync(file, 0o640);
  await expect(readKey(file)).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: expect.stringContaining('chmod 600'),
  });
});

test('a file that holds no Ed25519 key is refused', async () => {
  const file = join(home, 'broken.key');
  writeFileSync(file, 'not a key', { mode: 0o600 });
  await expect(readOrCreateKey(file)).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
    message: expect.stringContaining('broken.key'),
  });
});
