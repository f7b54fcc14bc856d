// Events and calls are for ever: refuses changes of proto/ that break what has landed, by `buf breaking`. What has landed is
// the image proto/baseline.binpb of main, as git knows it; where it knows no main (a shallow clone of a commit), the image
// that lies here. tools/codegen.mjs renews it, after this check.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './setup/common.mjs';

export const BASELINE = 'proto/baseline.binpb';
const LANDED = ['origin/main', 'main'];

/** What would break, as buf says it; empty = nothing. */
export function breakingChanges() {
  const work = mkdtempSync(join(tmpdir(), 'hivebus-baseline-'));
  try {
    const images = [...new Set(landedImages(work))];
    return images.map(breaks).find((said) => said !== '') ?? '';
  } finally {
    rmSync(work, { recursive: true });
  }
}

function landedImages(work) {
  const landed = LANDED.flatMap((ref, i) => {
    const { status, stdout } = spawnSync('git', ['show', `${ref}:${BASELINE}`], { cwd: root, maxBuffer: 1 << 26 });
    if (status !== 0) return [];
    const file = join(work, `${i}.binpb`);
    writeFileSync(file, stdout);
    return [file];
  });
  return landed.length > 0 || !existsSync(join(root, BASELINE)) ? landed : [join(root, BASELINE)];
}

function breaks(image) {
  const buf = join(root, 'node_modules/.bin/buf');
  const { status, stdout, stderr, error } = spawnSync(buf, ['breaking', '--against', image], {
    cwd: root,
    encoding: 'utf8',
  });
  return status === 0 ? '' : (error?.message ?? `${stdout}${stderr}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const said = breakingChanges();
  if (said !== '') console.error(said);
  process.exitCode = said === '' ? 0 : 1;
}
