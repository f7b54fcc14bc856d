import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BENCHES } from './benches.ts';
import { startChild } from './children.ts';
import type { Row } from './harness.ts';
import { compiled } from './processes.ts';
import { machineText, markdown, missed, table } from './report.ts';

/**
 * Measures what was promised: npm run bench [-- NAME... --write]. A missed target is told and is no failure: it may be
 * the machine. Figures are ratios to floors that were measured in the same run, in turns.
 */
const { values, positionals } = parseArgs({ options: { write: { type: 'boolean' } }, allowPositionals: true });
const unknown = positionals.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`bench: ${unknown.join(', ')} not known; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
const began = performance.now();
for (const name of Object.keys(BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const startedAt = performance.now();
  console.error(`${name} ...`);
  await using bench = await startChild('one', [name]);
  rows.push(...(await bench.ask<{ rows: Row[] }>({})).rows);
  console.error(`${name}: ${seconds(startedAt)} s`);
}
console.log(`\n${table(rows)}\n`);
console.log(`${await machineText()}, ${seconds(began)} s in all`);
console.log(missed(rows));
if (values.write) writeFileSync(compiled('../docs/benchmarks.md'), markdown(rows, await machineText()));

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0);
}
