// Gets the programs that only some tests use; what cannot be had is said in a line, and is no failure: those tests skip.
//   node tools/optional.mjs [--within SECONDS] [NAME ...]
import { parseArgs } from 'node:util';
import { Failure } from './setup/common.mjs';
import { fetchOptional, isThere, OPTIONAL } from './setup/optional.mjs';

const { values, positionals } = parseArgs({ options: { within: { type: 'string' } }, allowPositionals: true });
const seconds = Number(values.within ?? 600);
const unknown = positionals.filter((name) => !(name in OPTIONAL));
if (unknown.length > 0 || !(seconds > 0)) {
  console.error(`optional: cannot get ${unknown} within ${seconds} s; known: ${Object.keys(OPTIONAL).join(', ')}`);
  process.exit(2);
}

const until = performance.now() + seconds * 1000;
for (const name of positionals.length > 0 ? positionals : Object.keys(OPTIONAL)) {
  console.log(`${name}: ${isThere(name) ? 'there' : outcome(name)}`);
}

function outcome(name) {
  if (performance.now() > until) return `skipped: the ${seconds} s are over`;
  try {
    fetchOptional(name, until);
    return 'fetched';
  } catch (error) {
    if (error instanceof Failure) return `skipped: ${error.message}`;
    throw error;
  }
}
