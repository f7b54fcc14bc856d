import type { Command } from 'commander';
import { pause, systemClock } from '../../libs/kernel/clock.ts';
import { formatDuration } from '../../libs/kernel/durations.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { Asking, type GivenUp } from '../../libs/sdk/asking.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { hold } from '../../libs/sdk/lease.ts';
import type { RequestAgentResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, untilAborted, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { kindTable } from '../kinds/kind.ts';
import { LEASES } from '../kinds/leases.ts';
import { type SelectorOptions, selectorOf, withSelector } from '../selector.ts';
import { warnOfUnregistered } from '../unknown-names.ts';
import { duration, list, wholeNumber } from '../values.ts';

interface RequestOptions extends SelectorOptions {
  priority: number;
  swarm: string;
  type: string;
  capability: string[];
  term?: number;
  wait?: number;
  from: string;
  hold?: boolean;
}

export function addRequestResource(program: Command): void {
  withSelector(program.command('request-resource'))
    .description('borrow an agent of another swarm')
    .requiredOption('--swarm <name>', 'the swarm that borrows')
    .requiredOption('--type <type>', 'the type of agent')
    .option('--capability <name>', 'what it must be able to do; may be repeated', list, [])
    .option('--term <duration>', 'how long, from now or the last renewal (default: 1m)', duration)
    .option('--from <swarm>', 'only from this swarm', '')
    .option(
      '--wait <duration>',
      'how long to wait for one if none is free; Ctrl-C takes the request back (default: not at all)',
      duration,
    )
    .option('--priority <n>', "of the swarm's waiting requests the higher goes first, 0 to 1000", wholeNumber, 0)
    .option('--hold', 'renew the lease until interrupted, then give the agent back')
    .action(action(request, { heedsSignal: true }));
}

async function request(context: Context, options: RequestOptions): Promise<void> {
  await withHive(context, (hive) => requestBy(hive, context, options), { kind: 'swarm', swarm: options.swarm });
}

async function requestBy(hive: Hive, context: Context, options: RequestOptions): Promise<void> {
  const { output, signal } = context;
  const selector = selectorOf(options);
  const wish = {
    swarm: options.swarm,
    type: options.type,
    capabilities: options.capability,
    termMs: options.term ?? 0,
    lender: options.from,
    waitMs: options.wait ?? 0,
    priority: options.priority,
    ...(selector ? { selector } : {}),
  };
  const sentAt = systemClock.monotonic();
  const asking = new Asking(hive, wish, systemClock);
  const answer = await answered(hive, asking, wish, context);
  if (!options.hold) {
    output.data(answer, () => kindTable(LEASES, answer.lease ? [answer.lease] : []));
    return;
  }
  await using held = await hold(hive, answer, sentAt, systemClock);
  output.data({ lease: held.lease }, () => kindTable(LEASES, [held.lease]));
  output.note('renewing the lease; Ctrl-C gives the agent back');
  await untilAborted(AbortSignal.any([signal, held.signal]));
  if (!signal.aborted) throw held.signal.reason;
  const { agent, termMs } = held.lease;
  output.note(`giving ${agent} back; a second Ctrl-C leaves it to the lease's term of ${formatDuration(termMs)}`);
  await held.release();
  output.note(`${agent} is given back; what it runs for ${options.swarm} is finished first`);
}

interface Wish {
  readonly lender: string;
  readonly waitMs: number;
}

/** The answer, with its id told meanwhile; when it is interrupted the request is taken back, and what came of that told. */
async function answered(hive: Hive, asking: Asking, wish: Wish, context: Context): Promise<RequestAgentResponse> {
  const { output, signal } = context;
  if (wish.waitMs > 0) void tellThatItWaits(hive, asking, wish, context);
  if (await asking.isAborted(signal)) {
    output.note(`taking ${asking.id} back; a second Ctrl-C leaves it waiting`);
    output.note(cameTo(asking.id, await asking.giveUp(), wish.waitMs));
    throw signal.reason;
  }
  try {
    return await asking.answer;
  } catch (cause) {
    const error = HiveError.from(cause);
    // Who has no answer does not know whether it waits.
    if (wish.waitMs > 0 && (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED'))
      output.note(mayWait(asking.id, wish.waitMs));
    if (wish.lender !== '' && error.reason === 'NO_AGENT_FREE') await warnOfUnregistered(hive, [wish.lender], output);
    throw error;
  }
}

/** So long after the asking, in milliseconds, it is looked whether it waits; and again as long as it is on its way. */
const LOOK_MS = 250;

/** Never rejects. */
async function tellThatItWaits(hive: Hive, asking: Asking, { lender, waitMs }: Wish, { output, signal }: Context) {
  const { id } = asking;
  const isOver = () => asking.isAnswered || signal.aborted;
  for (;;) {
    await pause(systemClock, LOOK_MS, signal);
    if (isOver()) return;
    const found = await hive.pool.explain({ id }).catch(() => undefined);
    if (isOver()) return;
    if (found?.request) break;
  }
  output.note(`${id} waits, ${formatDuration(waitMs)} at most; Ctrl-C takes it back, hivebus explain ${id} says why`);
  if (lender !== '') await warnOfUnregistered(hive, [lender], output);
}

/** What is said of a request that was interrupted. */
function cameTo(id: string, end: GivenUp, waitMs: number): string {
  switch (end.kind) {
    case 'withdrawn':
      return `${id} is taken back: it waits no longer`;
    case 'refused':
      return `${id} waits no longer: it was refused`;
    case 'released':
      return `${id} had won ${end.lease?.agent ?? 'an agent'} in the meantime; ${end.lease?.id ?? 'its lease'} is released`;
    case 'unknown':
      return `${end.error.message}; ${mayWait(id, waitMs)}`;
  }
}

const mayWait = (id: string, waitMs: number): string =>
  waitMs > 0
    ? `${id} may wait on, ${formatDuration(waitMs)} in all at most: hivebus request withdraw ${id}`
    : `${id} may have won a lease, which ends with its term: hivebus explain ${id}`;
