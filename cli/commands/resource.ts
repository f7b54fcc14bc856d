import type { Command } from 'commander';
import { systemClock } from '../../libs/kernel/clock.ts';
import { formatDuration } from '../../libs/kernel/durations.ts';
import { borrow, waitingCall } from '../../libs/sdk/lease.ts';
import { action, untilAborted, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { kindTable } from '../kinds/kind.ts';
import { LEASES } from '../kinds/leases.ts';
import { type SelectorOptions, selectorOf, withSelector } from '../selector.ts';
import { duration, list, wholeNumber } from '../values.ts';
import { addList } from './list.ts';

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

export function addResource(program: Command): void {
  addList(program.command('lease').description('agents that are lent'), LEASES);
  withSelector(program.command('request-resource'))
    .description('borrow an agent of another swarm')
    .requiredOption('--swarm <name>', 'the swarm that borrows')
    .requiredOption('--type <type>', 'the type of agent')
    .option('--capability <name>', 'what it must be able to do; may be repeated', list, [])
    .option('--term <duration>', 'how long, from now or the last renewal (default: 1m)', duration)
    .option('--from <swarm>', 'only from this swarm', '')
    .option('--wait <duration>', 'how long to wait for one if none is free (default: not at all)', duration)
    .option('--priority <n>', "of the swarm's waiting requests the higher goes first, 0 to 1000", wholeNumber, 0)
    .option('--hold', 'renew the lease until interrupted, then give the agent back')
    .action(action(request, { heedsSignal: true }));
  program
    .command('release-resource')
    .description('give a borrowed agent back; what it runs is finished first')
    .argument('<lease>', "the lease's id")
    .action(action(release));
}

async function request(context: Context, options: RequestOptions): Promise<void> {
  const { output, signal } = context;
  const selector = selectorOf(options);
  await withHive(
    context,
    async (hive) => {
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
      if (!options.hold) {
        const asked = hive.pool.requestAgent(wish, { signal, ...waitingCall(wish.waitMs) });
        const answer = await orInterrupted(asked, context, wish.waitMs);
        output.data(answer, () => kindTable(LEASES, answer.lease ? [answer.lease] : []));
        return;
      }
      await using held = await orInterrupted(borrow(hive, wish, systemClock, signal), context, wish.waitMs);
      output.data({ lease: held.lease }, () => kindTable(LEASES, [held.lease]));
      output.note('renewing the lease; Ctrl-C gives the agent back');
      await untilAborted(AbortSignal.any([signal, held.signal]));
      if (!signal.aborted) throw held.signal.reason;
      const { agent, termMs } = held.lease;
      output.note(`giving ${agent} back; a second Ctrl-C leaves it to the lease's term of ${formatDuration(termMs)}`);
      await held.release();
      output.note(`${agent} is given back; what it runs for ${options.swarm} is finished first`);
    },
    { kind: 'swarm', swarm: options.swarm },
  );
}

/** Nobody waits any more, but the request does: that is said. */
async function orInterrupted<T>(asked: Promise<T>, { signal, output }: Context, waitMs: number): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (!signal.aborted) throw cause;
    if (waitMs > 0) {
      const whole = formatDuration(waitMs);
      output.note(`the request waits on, ${whole} in all at most; an agent that it gets goes home after its term`);
    }
    throw signal.reason;
  }
}

async function release(context: Context, lease: string): Promise<void> {
  await withHive(context, async (hive) => {
    const answer = await hive.pool.releaseLease({ lease });
    context.output.data(answer, () => kindTable(LEASES, answer.lease ? [answer.lease] : []));
  });
}
