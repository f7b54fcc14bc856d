// npm run demo: three swarms work through a real repository together. See the options in options.ts.
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { startTracing } from '../../libs/sdk/index.ts';
import { Closing } from '../../libs/service/closing.ts';
import { traceIdOf } from '../../libs/telemetry/traceparent.ts';
import { type DemoFederation, ownEnvironment, startFederation } from './federation.ts';
import { Job } from './job.ts';
import { type DemoOptions, readOptions, USAGE } from './options.ts';
import { Progress } from './progress.ts';
import { makeReport, type Report, writeReport } from './report.ts';
import { findSourceFiles, type SourceFiles } from './source-files.ts';
import { howToLook, summary } from './summary.ts';
import { drawnTrace } from './trace.ts';

const stop = new AbortController();
/** Removed however the demo ends. */
let folder = '';
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) endNow(); // asked for twice: what it started ends with it
    stop.abort(new Error('interrupted'));
  });
}

let failed = 2; // wrong usage
try {
  const options = readOptions(process.argv.slice(2));
  failed = 1;
  if (options) await demo(options);
  else console.log(USAGE);
} catch (error) {
  console.error(`demo: ${(error as Error).message}`);
  process.exitCode = stop.signal.aborted ? 130 : failed;
}

async function demo(options: DemoOptions): Promise<void> {
  const source = await findSourceFiles(options.repo, options.maxFiles);
  tellSource(source);
  folder = await mkdtemp(join(tmpdir(), 'hivebus-demo-'));
  try {
    await using closing = new Closing();
    const tracing = closing.use(await startTracing({ service: 'hivebus-demo', env: ownEnvironment() }));
    const { federation, outcome, traceId } = await tracing.run('demo', async (trace) => {
      const federation = closing.use(await startFederation(folder, trace, stop.signal));
      tracing.sendBy(federation.swarms.code.hive);
      const names = Object.values(federation.swarms).map(({ name }) => name);
      console.log(`swarms ${names.join(', ')} are one federation at ${federation.nats}`);
      return { federation, outcome: await work(federation, source), traceId: traceIdOf(trace.traceparent) };
    });
    await tracing.flush();
    const report = makeReport(source, outcome, traceId);
    const path = await writeReport(report, await drawnTrace(federation, traceId, outcome), options.out);
    console.log(`\n${summary(report, relative(process.cwd(), path))}\n`);
    console.log(howToLook(federation.nats, join(folder, '.hivebus'), options.keep));
    if (options.keep) await interrupted();
    check(report);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function work(federation: DemoFederation, source: SourceFiles) {
  let say: (text: string) => void = console.log;
  const job = new Job(federation, source, stop.signal, (text) => say(text));
  using progress = new Progress(process.stdout, () => job.standing());
  say = (text) => progress.say(text);
  return await job.run();
}

function tellSource({ repo, files, skipped }: SourceFiles): void {
  const { binary, large, overLimit } = skipped;
  const left = Object.entries({ binary, 'over 512 KiB': large, 'over --max-files': overLimit })
    .filter(([, count]) => count > 0)
    .map(([why, count]) => `${count} ${why}`);
  console.log(`${files.length} files of ${repo}${left.length > 0 ? ` (left out: ${left.join(', ')})` : ''}`);
}

/** Nothing is shown as well done that was not. */
function check(report: Report): void {
  if (report.failed.length > 0) {
    const { file, reason } = report.failed[0] as Report['failed'][number];
    throw new Error(`${report.failed.length} tasks failed, the first: ${file}: ${reason}`);
  }
}

function endNow(): never {
  try {
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  } finally {
    process.exit(130);
  }
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    if (stop.signal.aborted) resolve();
    stop.signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
