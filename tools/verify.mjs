// Everything that can be checked without running the whole: each check runs even when one before it failed.
//   node tools/verify.mjs [check ...]
import { spawnSync } from 'node:child_process';
import { root } from './setup/common.mjs';

const bin = (name) => `${root}/node_modules/.bin/${name}`;

/** In order of speed; the dependency rule reads what the build wrote. */
const CHECKS = {
  'format and lint': [bin('biome'), 'ci', '--colors=off', '--error-on-warnings', '.'],
  protos: [bin('buf'), 'lint'],
  'breaking changes': [process.execPath, 'tools/breaking.mjs'],
  'types and build': [process.execPath, 'tools/setup.mjs'],
  'dependency rule': [bin('depcruise'), '--config', '.dependency-cruiser.cjs', 'dist'],
  'dead code': [bin('knip'), '--no-config-hints'],
  'generated code': [process.execPath, 'tools/codegen.mjs', '--check'],
  'unit tests': [bin('vitest'), 'run', '--project', 'unit'],
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in CHECKS));
if (unknown.length > 0) {
  console.error(`verify: no check is called ${unknown}; checks: ${Object.keys(CHECKS).join(', ')}`);
  process.exit(2);
}

const failed = Object.keys(CHECKS)
  .filter((name) => asked.length === 0 || asked.includes(name))
  .filter((name) => !passes(name));
console.log(failed.length === 0 ? 'verify: all is well' : `verify: FAILED: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

/** Runs a check; its output is shown only when it fails. */
function passes(name) {
  const [program, ...args] = CHECKS[name];
  const startedAt = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (status === 0) {
    console.log(`ok      ${name} (${seconds} s)`);
    return true;
  }
  console.log(`FAILED  ${name} (${seconds} s)\n${[error?.message, stdout, stderr].filter(Boolean).join('\n')}`);
  return false;
}
