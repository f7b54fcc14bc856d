// Everything that can be checked without running the whole: each check runs even when one before it failed.
//   node tools/verify.mjs [--limit SECONDS] [check ...]
import { parseArgs } from 'node:util';
import { root } from './setup/common.mjs';
import { runAsGroup } from './setup/group.mjs';

/** For each check, in seconds: about ten times what the slowest takes on two busy cores. It only ends what hangs. */
const LIMIT_S = 900;

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
  'unit tests': [bin('vitest'), 'run', '--project', 'unit*'],
};

const { limitMs, asked } = readOptions();
const failed = [];
for (const name of Object.keys(CHECKS).filter((each) => asked.length === 0 || asked.includes(each))) {
  if (!(await passes(name))) failed.push(name);
}
console.log(failed.length === 0 ? 'verify: all is well' : `verify: FAILED: ${failed.join(', ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;

/** Runs a check; its output is shown only when it fails. When verify is interrupted, so is the check, and all ends. */
async function passes(name) {
  const [program, ...args] = CHECKS[name];
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
  try {
    await runAsGroup(program, args, { cwd: root, limitMs });
    console.log(`ok      ${name} (${seconds()} s)`);
    return true;
  } catch (error) {
    if (error.exitCode === 130) {
      console.error(`verify: interrupted in: ${name} (${seconds()} s)\n${error.output}`);
      process.exit(130);
    }
    console.log(`FAILED  ${name} (${seconds()} s)\n${error.message}`);
    return false;
  }
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({ options: { limit: { type: 'string' } }, allowPositionals: true });
    const unknown = positionals.filter((name) => !(name in CHECKS));
    if (unknown.length > 0) throw new Error(`no check is called ${unknown}; checks: ${Object.keys(CHECKS).join(', ')}`);
    const limitS = Number(values.limit ?? LIMIT_S);
    if (!(limitS > 0 && limitS <= 86_400)) throw new Error(`--limit ${values.limit} must be 1 to 86400 (seconds)`);
    return { limitMs: limitS * 1000, asked: positionals };
  } catch (error) {
    console.error(`verify: ${error.message}`);
    process.exit(2);
  }
}
