import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ReadyFile } from './ready-file.ts';

test('it is there from being ready to the end, and one of an earlier run does not count', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hivebus-ready-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'ready');
  writeFileSync(path, 'of a run that was killed');
  const ready = new ReadyFile(path);
  expect(existsSync(path)).toBe(false);
  ready.show();
  expect(existsSync(path)).toBe(true);
  ready[Symbol.dispose]();
  expect(existsSync(path)).toBe(false);
});
