import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { agentDeathRows } from './agent-death.ts';
import { agentsHeapRows } from './agents-heap.ts';
import { announcementRows } from './announcement.ts';
import { atRestRows } from './at-rest.ts';
import { decisionRows } from './decision.ts';
import { grpcRows } from './grpc.ts';
import type { Row } from './harness.ts';
import { journalRows } from './journal.ts';
import { overloadRows } from './overload.ts';
import { compiled } from './processes.ts';
import { registrationRows } from './registrations.ts';
import { replayRows } from './replay.ts';
import { machineText, markdown, missed, table } from './report.ts';
import { sessionRows } from './sessions.ts';
import { takeoverRows } from './takeover.ts';
import { taskRows } from './tasks.ts';
import { tracingRows } from './tracing.ts';
import { workloadRows } from './workload.ts';

/**
 * Measures what was promised: npm run bench [-- NAME... --write]. A missed target is told and is no failure: it may be
 * the machine. Figures are ratios to floors that were measured in the same run, in turns.
 */
const BENCHES: Readonly<Record<string, () => Promise<Row[]>>> = {
  journal: journalRows,
  replay: replayRows,
  announcement: announcementRows,
  registrations: registrationRows,
  takeover: takeoverRows,
  rest: atRestRows,
  decision: decisionRows,
  heap: agentsHeapRows,
  tracing: tracingRows,
  grpc: grpcRows,
  sessions: sessionRows,
  tasks: taskRows,
  overload: overloadRows,
  death: agentDeathRows,
  workload: workloadRows,
};

const { values, positionals } = parseArgs({ options: { write: { type: 'boolean' } }, allowPositionals: true });
const unknown = positionals.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`bench: ${unknown.join(', ')} not known; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}

const rows: Row[] = [];
const began = performance.now();
for (const [name, run] of Object.entries(BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const startedAt = performance.now();
  console.error(`${name} ...`);
  rows.push(...(await measured(name, run)));
  console.error(`${name}: ${seconds(startedAt)} s`);
}
console.log(`\n${table(rows)}\n`);
console.log(`${await machineText()}, ${seconds(began)} s in all`);
console.log(missed(rows));
if (values.write) writeFileSync(compiled('../docs/benchmarks.md'), markdown(rows, await machineText()));

/** One that cannot be run here must not keep the others from being told. */
async function measured(name: string, run: () => Promise<Row[]>): Promise<Row[]> {
  try {
    return await run();
  } catch (error) {
    console.error(error);
    const why = error instanceof Error ? error.message : String(error);
    return [
      { what: name, floor: '', measured: `not measured: ${why}`, ratio: '', target: 'to be measured', ok: false },
    ];
  }
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0);
}
