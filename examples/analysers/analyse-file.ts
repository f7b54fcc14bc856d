// An agent's command: reads a task `{"payload": {"repo", "file"}}` from standard input, prints the analysis as JSON.
// Run it by `hivebus agent run --type analyser --exec 'node dist/examples/analysers/analyse-file.js' …`.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { analyse } from './analysis.ts';

/** Of sysexits.h: the task is wrong, and trying again will not help. */
const EX_DATAERR = 65;

const { payload } = JSON.parse(await text(process.stdin)) as { payload?: { repo?: string; file?: string } };
if (!payload?.repo || !payload.file) {
  console.error('the payload must be {"repo": <folder>, "file": <path in it>}');
  process.exit(EX_DATAERR);
}
try {
  const analysis = analyse(payload.file, await readFile(join(payload.repo, payload.file), 'utf8'));
  console.log(`${analysis.lines.total} lines, ${analysis.functions} functions`);
  console.log(JSON.stringify(analysis));
} catch (error) {
  console.error(`cannot analyse ${payload.file}: ${(error as Error).message}`);
  process.exitCode = EX_DATAERR;
}
