import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { newKeyPair } from '../protocol/token.ts';
import { operatorKeys } from './operator-keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'hivebus-operators-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('keys are known by their thumbprint, new ones after a while, and a bad file is told', () => {
  let now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  const [ada, bob] = [newKeyPair(), newKeyPair()];
  writeFileSync(join(folder, 'ada.pub'), `${ada.publicKey}\n`);
  const faults: string[] = [];
  const keyOf = operatorKeys(folder, clock, (fault) => faults.push(fault.message));
  expect(keyOf(ada.kid)).toEqual({ name: 'ada', publicKey: ada.publicKey });

  writeFileSync(join(folder, 'bob.pub'), bob.publicKey);
  expect(keyOf(bob.kid)).toBeUndefined();
  now += 3000;
  expect(keyOf(bob.kid)?.name).toBe('bob');

  writeFileSync(join(folder, 'eve.pub'), 'nonsense');
  now += 3000;
  expect(keyOf(ada.kid)?.name).toBe('ada');
  expect(faults).toEqual([expect.stringContaining('eve.pub')]);
  expect(() => operatorKeys(folder, clock)).toThrow(/eve\.pub.*nonsense/);
});
