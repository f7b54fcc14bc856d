import { type Command, Option } from 'commander';
import { parseDuration } from '../../libs/kernel/durations.ts';
import { HiveError, invalid, quote } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { type BusEvent, eventLine, isShown, toEvent } from '../event-line.ts';
import {
  busEvents,
  follow,
  merged,
  past,
  SERVICES,
  type ServiceName,
  type Start,
  type Told,
} from '../journal-events.ts';
import { followConnection, Outage } from '../outage.ts';
import { terminalWidth } from '../output.ts';
import { warnOfUnknown } from '../unknown-names.ts';

interface EventOptions {
  all?: boolean;
  wide?: boolean;
  service?: ServiceName;
  swarm?: string;
  task?: string;
  since?: string;
  follow: boolean;
}

const HELP = `
With --since the journals are read: nothing is missing, whatever was restarted
meanwhile. They reach back some minutes at least (as long as records are
retained); what is older is COMPACTED, and that is said. Without it, what is
announced is shown as it happens.

Examples:
  hivebus events
  hivebus events --since 10m --swarm code
  hivebus events --since 5m --no-follow -o json
  hivebus events --service pool --since 1234
  hivebus events --task nightly --all`;

export function addEvents(program: Command): void {
  program
    .command('events')
    .description('what happens, live, until interrupted; with --since also what has happened')
    .addOption(new Option('--service <name>', 'only of this service').choices(SERVICES))
    .option('--swarm <name>', 'only what concerns this swarm')
    .option('--task <id>', 'only what concerns this task')
    .option('--all', 'heartbeats, task output, calls and journal records too')
    .option('--wide', 'on a terminal, whole lines: they are cut at its width otherwise')
    .option('--since <duration|revision>', "from the journal: for so long, or after a revision of --service's journal")
    .option('--no-follow', 'with --since: end with what has happened')
    .addHelpText('after', HELP)
    .action(action(events, { heedsSignal: true, traced: 'none' }));
}

async function events(context: Context, options: EventOptions): Promise<void> {
  const start = startOf(options);
  await withHive(context, (hive) => {
    if (options.follow) void warnOfUnknown(hive, options, context.output);
    return start ? fromJournals(context, hive, options, start) : live(context, hive, options);
  });
}

function startOf({ since, service, all, follow: follows }: EventOptions): Start | undefined {
  if (since === undefined) {
    if (follows) return undefined;
    throw invalid([{ field: '--no-follow', value: 'true', rule: 'goes with --since only' }]);
  }
  if (all)
    throw invalid([{ field: '--all', value: 'true', rule: 'does not go with --since: journals hold events only' }]);
  if (/^\d+$/.test(since)) {
    if (service) return { fromRevision: since };
    const rule = `is a revision, which belongs to one journal: name it with --service ${SERVICES.join(' or ')}`;
    throw invalid([{ field: '--since', value: quote(since), rule }]);
  }
  const ms = parseDuration(since);
  if (ms !== undefined) return { since: new Date(Date.now() - ms).toISOString() };
  throw invalid([
    { field: '--since', value: quote(since), rule: 'must be a duration such as 30s, 5m or 2h, or a revision' },
  ]);
}

/** Everything of a federation, as `nats sub` would show it. */
async function live(context: Context, { nc }: Hive, options: EventOptions): Promise<void> {
  const subject = `hive.${context.federation}.>`;
  const subscription = nc.subscribe(subject);
  context.signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
  followConnection(nc, context, 'what happened in between is not shown');
  context.output.note(`listening on ${subject} at ${context.nats}; Ctrl-C ends`);
  for await (const message of subscription) show(context, options, [toEvent(message)]);
}

async function fromJournals(context: Context, hive: Hive, options: EventOptions, start: Start): Promise<void> {
  const { signal, output } = context;
  const services = options.service ? [options.service] : SERVICES;
  const reached = new Map<ServiceName, string>();
  const pasts = services.map((service) => past(hive, service, start, signal));
  for await (const told of merged(pasts)) {
    reached.set(told.service, told.record.revision);
    if (told.compacted) {
      const { revision } = told.record;
      output.note(
        `COMPACTED: older events of ${told.service} are no longer kept; they begin after revision ${revision}`,
      );
    }
    show(context, options, busEvents(told, context.federation));
  }
  if (!options.follow) return;
  const at = [...reached].map(([service, revision]) => `${service} ${revision}`).join(', ');
  output.note(`from here on as it happens (${at}); Ctrl-C ends`);
  const outage = new Outage(context);
  const going = async ([service, revision]: [ServiceName, string]) => {
    for await (const told of follow(hive, service, revision, signal, outage)) showTold(context, options, told);
  };
  await Promise.all([...reached].map(going)).catch((error) => Promise.reject(explained(error)));
}

const showTold = (context: Context, options: EventOptions, told: Told): void =>
  show(context, options, busEvents(told, context.federation));

function show({ output }: Context, options: EventOptions, found: readonly BusEvent[]): void {
  const width = options.wide ? Number.POSITIVE_INFINITY : terminalWidth();
  for (const event of found) if (isShown(event, options)) output.line(event, () => eventLine(event, width));
}

/** Who was away for too long must begin anew. */
function explained(error: unknown): unknown {
  if (!(error instanceof HiveError) || error.reason !== 'COMPACTED') return error;
  const message = `COMPACTED: ${error.message}; call it again with a later --since`;
  return new HiveError(error.code, message, { cause: error, reason: error.reason });
}
