import type { Command } from 'commander';
import { counted } from '../../libs/kernel/counted.ts';
import { formatDuration } from '../../libs/kernel/durations.ts';
import type {
  AutoRebalanceReport,
  RebalancePlan,
  RebalanceRules,
  Shortage,
  Utilisation,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { terminalWidth } from '../output.ts';
import { printable } from '../printable.ts';
import { between, countingNumber, duration } from '../values.ts';
import { wrapped, wrappedTable } from '../wrapped-table.ts';

interface Options {
  type: string;
  low: number;
  high: number;
  reserve: number;
  forGood?: boolean;
  term: number;
  grace: number;
  dryRun?: boolean;
  last?: boolean;
}

const HELP = `
By itself the pool does this as often as hivebus set policy --rebalance says, by
default never. What it found and did then, and why, says --last.`;

export function addRebalance(program: Command): void {
  program
    .command('rebalance')
    .description('send agents to swarms that have more work than they can do, by the fewest moves')
    .option('--type <type>', 'only agents of this type', '')
    .option(
      '--low <percent>',
      'who takes agents stays at least so busy: tasks that run or wait per slot',
      countingNumber,
      30,
    )
    .option('--high <percent>', 'who is busier takes agents', countingNumber, 90)
    .option('--reserve <percent>', 'who gives agents stays below --high by so much', countingNumber, 10)
    .option('--for-good', 'agents migrate, instead of being lent')
    .option('--term <duration>', 'for how long they are lent', duration, 600_000)
    .option('--grace <duration>', 'with --for-good: how long what they run may go on', duration, 60_000)
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--last', 'say what the pool did last by itself, and do nothing')
    .addHelpText('after', HELP)
    .action(action(rebalance));
}

async function rebalance(context: Context, options: Options): Promise<void> {
  const { type, low: lowPercent, high: highPercent, reserve: reservePercent, term: termMs, grace: graceMs } = options;
  const by = options.forGood ? 'REBALANCE_BY_MIGRATION' : 'REBALANCE_BY_LEASE';
  const rules: RebalanceRules = { type, lowPercent, highPercent, reservePercent, by };
  await withHive(context, async (hive) => {
    if (options.last) return showLast(context, (await hive.pool.planRebalance({ rules })).automatic);
    const asking = options.dryRun
      ? hive.pool.planRebalance({ rules })
      : hive.pool.rebalance({ rules, termMs, graceMs });
    const { plan } = await asking;
    context.output.data(plan, () => (plan ? planText(printable(plan)) : ''));
  });
}

function showLast(context: Context, report: AutoRebalanceReport | undefined): void {
  context.output.data(report ?? null, () => lastText(report && printable(report)));
}

/** What the pool does by itself, what it found, and what it did last and why; not wider than `width`. */
export function lastText(report: AutoRebalanceReport | undefined, width = terminalWidth()): string {
  if (!report) return 'the pool does not rebalance by itself; hivebus set policy --rebalance 30s lets it';
  const { rules, lookedAt, nextAt, found, movedAt, moved } = report;
  const every = formatDuration(rules?.everyMs ?? 0);
  const now = new Date().toISOString();
  const looked = lookedAt ? `it looked ${between(lookedAt, now)} ago: ${found}` : 'it has not looked yet';
  const isOn = nextAt !== undefined;
  const lines = [isOn ? `the pool looks every ${every}; ${looked}` : 'the pool does not rebalance by itself any more'];
  if (!moved || !movedAt) lines.push('it never moved anybody');
  else lines.push(`${between(movedAt, now)} ago it moved`, '', planText({ ...moved, shortages: [] }, width));
  return lines.flatMap((line) => (line.includes('\n') ? [line] : wrapped(line, width))).join('\n');
}

/** What goes where and why, how busy the swarms are before and after, and what they still lack; not wider than `width`. */
export function planText({ moves, swarms, shortages, proved }: RebalancePlan, width = terminalWidth()): string {
  const lines: string[] = [];
  const rows = moves.map(({ agent, to, id, reason }) => [agent, to, id || '-', reason]);
  if (moves.length > 0) lines.push(wrappedTable(['AGENT', 'TO', 'BY', 'REASON'], rows, width), '');
  else lines.push('no agent needs to move', '');
  if (swarms.length > 0)
    lines.push(wrappedTable(['SWARM', 'TYPE', 'TASKS', 'SLOTS', 'BUSY', 'THEN'], swarms.map(busyRow), width), '');
  for (const each of shortages) lines.push(...wrapped(shortageText(each), width));
  if (!proved) lines.push('there were too many ways to try all: another plan may need fewer moves');
  return lines.join('\n').trimEnd();
}

const shortageText = ({ type, slots, kept }: Shortage): string =>
  `${counted(slots, 'slot')} of type ${type} ${slots === 1 ? 'is' : 'are'} still missing: ` +
  (kept.length > 0 ? kept.join('; ') : 'no other swarm has any to spare');

const busyRow = ({ swarm, type, tasks, slots, slotsAfter }: Utilisation): string[] => {
  const share = (of: number) => (of === 0 ? '-' : `${Math.round((tasks * 100) / of)}%`);
  return [swarm, type, String(tasks), `${slots}, then ${slotsAfter}`, share(slots), share(slotsAfter)];
};
