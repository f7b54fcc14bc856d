import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { requireFolder } from './own-folder.ts';

const base = mkdtempSync(join(tmpdir(), 'hivebus-folder-'));
afterAll(() => rmSync(base, { recursive: true }));

test('a folder is made once', () => {
  requireFolder(join(base, 'a', 'b'), '--data');
  requireFolder(join(base, 'a', 'b'), '--data');
});

test('what cannot be a folder, or cannot be written, is told with the option that names another', () => {
  writeFileSync(join(base, 'file'), '');
  for (const folder of [join(base, 'file'), join(base, 'file', 'below'), '/dev/null/below']) {
    expect(() => requireFolder(folder, '--data')).toThrow(
      expect.objectContaining({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/^cannot keep anything in .*: see what is there .* another folder by --data$/),
      }),
    );
  }
});
