import type { Command } from 'commander';
import { HiveError, invalid, quote } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { readTrace } from '../../libs/sdk/read-trace.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { traceList } from '../trace-list.ts';
import { countingNumber } from '../values.ts';
import { waterfall } from '../waterfall.ts';

const HELP = `
Examples:
  hivebus trace                                   the newest traces
  hivebus trace --last                            what the last command did
  hivebus trace 67927caabb53af544c5f7cdc66a66e88  one trace
  hivebus trace task-fswx49mgdk4y                 the trace of a task
  hivebus trace --last --all                      each span, nothing folded
  hivebus trace --last -o json | jq '.spans[].name'

hivebus up keeps the newest spans in its memory, HIVEBUS_TRACE_SPANS and
HIVEBUS_TRACE_BYTES of them. Where spans go to a collector
(OTEL_EXPORTER_OTLP_ENDPOINT) its viewer shows them, too.`;

interface TraceOptions {
  all?: boolean;
  last?: boolean;
  correlation?: string;
  limit: number;
}

export function addTrace(program: Command): void {
  program
    .command('trace')
    .description('what happened, span by span, in all processes that took part')
    .argument('[id]', 'a trace, by its 32 digits, or a task')
    .option('--last', 'of the last command of hivebus that has ended')
    .option('--all', 'every span: what repeats is not folded into one line')
    .option('--correlation <id>', 'the newest with this correlation id')
    .option('--limit <n>', 'without an id: at most so many traces, the newest', countingNumber, 20)
    .addHelpText('after', HELP)
    .action(action(trace, { traced: 'none' }));
}

async function trace(context: Context, id: string | undefined, options: TraceOptions): Promise<void> {
  const { output } = context;
  const { last = false, correlation = '' } = options;
  const ways = [id !== undefined, last, correlation !== ''].filter(Boolean).length;
  if (ways > 1) throw invalid([{ field: 'trace', value: quote(id), rule: 'give one of ID, --last and --correlation' }]);
  await withHive(context, async (hive) => {
    if (ways === 0) {
      const { traces } = await kept(hive.telemetry.listTraces({ limit: Math.min(options.limit, 200) }));
      return output.data(traces, () => traceList(traces));
    }
    const traceId = id === undefined ? '' : await traceIdOf(hive, id);
    const found = await kept(readTrace(hive, { last, correlationId: correlation, traceId }));
    output.data(found, () => waterfall(found, { width: widthOf(process.stdout), all: options.all ?? false }));
  });
}

/** By itself, or as the task's that it names. */
async function traceIdOf(hive: Hive, id: string): Promise<string> {
  if (/^[0-9a-f]{32}$/.test(id)) return id;
  const { task } = await hive.pool.getTask({ id }).catch((cause: unknown) => {
    if (!(cause instanceof HiveError) || cause.code !== 'NOT_FOUND') throw cause;
    const message = `${quote(id)} is neither a trace, by its 32 digits, nor a task that is kept; hivebus trace lists the newest`;
    throw new HiveError('NOT_FOUND', message, { cause });
  });
  const traceId = task?.traceparent.split('-')[1] ?? '';
  if (traceId !== '') return traceId;
  throw new HiveError('NOT_FOUND', `task ${quote(id)} belongs to no trace: it was submitted without one`);
}

async function kept<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (!(cause instanceof HiveError) || cause.reason !== 'NO_RESPONDERS') throw cause;
    const message = 'nobody keeps traces on this bus: `hivebus up` does, and so does the service telemetry';
    throw new HiveError('NOT_FOUND', message, { cause });
  }
}

const MIN_WIDTH = 60;
const DEFAULT_WIDTH = 100;

/** Elsewhere than on a terminal, COLUMNS says how wide it may be. */
function widthOf(out: NodeJS.WriteStream): number {
  const width = out.isTTY ? out.columns : Number(process.env.COLUMNS);
  return width > 0 ? Math.max(width, MIN_WIDTH) : DEFAULT_WIDTH;
}
