import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { HiveError, invalid } from '../../libs/kernel/errors.ts';
import { nearest } from '../../libs/kernel/nearest.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type {
  AutoRebalance,
  LendingPolicy,
  PlacementWeights,
  SwarmLimits,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { terms } from '../help.ts';
import { type Kind, kindTable } from '../kinds/kind.ts';
import { LENDING, lendingOf } from '../kinds/lending.ts';
import { LIMITS, limitsOf } from '../kinds/limits.ts';
import { POLICIES, policyOf, WEIGHTS } from '../kinds/policies.ts';
import { warnOfUnregistered } from '../unknown-names.ts';
import { countingNumber, duration, list, someTime, wholeNumber } from '../values.ts';

const POLICY_HELP = `
Weights, in thousandths; together they must be 1000:
${terms(WEIGHTS.map(([, weight, what]) => [weight, what]))}

Examples:
  hivebus set policy --weight locality=200 --weight cost=150
  hivebus set policy --ageing 30s --if-version 3
  hivebus set policy --rebalance 30s --rebalance-high 120
  hivebus get policy -o yaml`;

const LIMITS_HELP = `
Examples:
  hivebus set limits code --max-running 20 --max-queued 1000
  hivebus set limits code --weight 2000 --submits-per-second 50
  hivebus set limits code --max-running 0        no limit any more
  hivebus delete limits code                     none at all`;

const LENDING_HELP = `
Examples:
  hivebus set lending docs --to code,quality --max-lent 4 --keep 50
  hivebus set lending docs --recall-priority 500 --notice 30s
  hivebus set lending docs --closed
  hivebus delete lending docs                    it lends what is free, to any`;

const UNCHANGED = 'What is not named stays as it is.';

export function addSet(program: Command): void {
  const set = program.command('set').description('change the rules of the pool, from the next decision on');
  versioned(set.command('policy'))
    .description(`by which rules agents are chosen; operators only. ${UNCHANGED}`)
    .option('--weight <part=n>', 'what a part of a score counts; may be repeated', weight)
    .option('--typical-cost <n>', 'the cost that counts a half, 1 to 1000000', countingNumber)
    .option('--ageing <duration>', 'how much waiting makes up for one point of priority', someTime)
    .option(
      '--steal-after <duration>',
      "how long a task waits before others' idle agents may take it; 0s = never",
      duration,
    )
    .option('--rebalance <duration>', 'how often the pool looks by itself for swarms to help; 0s = never', duration)
    .option('--rebalance-low <percent>', 'who takes agents stays at least so busy', countingNumber)
    .option('--rebalance-high <percent>', 'who is busier takes agents', countingNumber)
    .option('--rebalance-reserve <percent>', 'who gives agents stays below that by so much', countingNumber)
    .option('--rebalance-looks <n>', 'how many looks in a row must find something to move', countingNumber)
    .option('--rebalance-moves <n>', 'how many agents it moves at once, at most', countingNumber)
    .option('--rebalance-for-good', 'agents migrate, instead of being lent')
    .option('--rebalance-lent', 'agents are lent again')
    .addHelpText('after', POLICY_HELP)
    .action(action(setPolicy));
  versioned(set.command('limits'))
    .description(`what a swarm may use of the pool, 0 = no limit; operators only. ${UNCHANGED}`)
    .argument('<swarm>', 'whose')
    .option('--weight <n>', "its weight when others' agents are shared out; everyone has 1000", wholeNumber)
    .option('--max-running <n>', 'how many of its tasks are given out at once', wholeNumber)
    .option('--max-queued <n>', 'how many of its tasks wait; more are refused', wholeNumber)
    .option('--max-leases <n>', 'how many agents it has borrowed at once', wholeNumber)
    .option('--max-requests <n>', 'how many of its requests for agents wait; more are refused', wholeNumber)
    .option('--submits-per-second <n>', 'how many tasks it submits in the long run', wholeNumber)
    .option('--submit-burst <n>', 'how many at once after a while without', wholeNumber)
    .addHelpText('after', LIMITS_HELP)
    .action(action(setLimits));
  versioned(set.command('lending'))
    .description(`what a swarm lends of its agents; by the swarm or an operator. ${UNCHANGED}`)
    .argument('<swarm>', 'whose')
    .option('--closed', 'it lends nothing')
    .option('--open', 'it lends again')
    .option('--to <swarm>', 'only to these, in place of those before; may be repeated', borrowers)
    .option('--to-any', 'to any swarm')
    .option('--max-lent <n>', 'how many agents at once, 0 = no limit', wholeNumber)
    .option('--keep <percent>', 'the share of its agents of each type that stays at home', wholeNumber)
    .option(
      '--recall-priority <n>',
      'tasks of its own from this priority on take a lent agent back, 0 = never',
      wholeNumber,
    )
    .option('--notice <duration>', 'how long what runs on it then may go on', duration)
    .addHelpText('after', LENDING_HELP)
    .action(action(setLending));
}

const versioned = (command: Command): Command =>
  command.option(
    '--if-version <n>',
    'only if this is still its version (default: the one that is changed)',
    wholeNumber,
  );

/** Whoever changes a part has read the rest: it must still be what it was. */
interface Versioned {
  ifVersion?: number;
}

const versionOf = ({ ifVersion }: Versioned, read: string): string =>
  ifVersion === undefined ? read : String(ifVersion);

type Weights = Partial<PlacementWeights>;

function weight(value: string, before: Weights = {}): Weights {
  const [name = '', number = '', ...rest] = value.split('=');
  const parts = WEIGHTS.map(([, part]) => part);
  const part = parts.find((each) => each === name);
  const close = nearest(name, parts);
  if (!part)
    throw new InvalidArgumentError(close ? `Did you mean ${close}?` : `It must be one of ${parts.join(', ')}.`);
  if (!/^\d{1,4}$/.test(number) || Number(number) > 1000 || rest.length > 0) {
    throw new InvalidArgumentError('It must be PART=NUMBER, the number whole, 0 to 1000.');
  }
  return { ...before, [part]: Number(number) };
}

interface PolicyOptions extends Versioned {
  weight?: Weights;
  typicalCost?: number;
  ageing?: number;
  stealAfter?: number;
  rebalance?: number;
  rebalanceLow?: number;
  rebalanceHigh?: number;
  rebalanceReserve?: number;
  rebalanceLooks?: number;
  rebalanceMoves?: number;
  rebalanceForGood?: boolean;
  rebalanceLent?: boolean;
}

const MIGRATION_GRACE_MS = 60_000;

/** How the pool shall rebalance by itself: as it does, but for what is named; undefined = nothing is. */
function balanceOf(options: PolicyOptions, before: AutoRebalance | undefined): AutoRebalance | undefined {
  if (!Object.keys(options).some((name) => name.startsWith('rebalance'))) return undefined;
  exclusive(options.rebalanceForGood && options.rebalanceLent, '--rebalance-lent', '--rebalance-for-good');
  const { everyMs = 0, looks = 0, maxMoves = 0, termMs = 0, graceMs = MIGRATION_GRACE_MS, rules } = before ?? {};
  const { type = '', lowPercent = 0, highPercent = 0, reservePercent = 0 } = rules ?? {};
  const lent = 'REBALANCE_BY_LEASE' as const;
  const by = options.rebalanceForGood ? 'REBALANCE_BY_MIGRATION' : options.rebalanceLent ? lent : (rules?.by ?? lent);
  return {
    everyMs: options.rebalance ?? everyMs,
    looks: options.rebalanceLooks ?? looks,
    maxMoves: options.rebalanceMoves ?? maxMoves,
    ...{ termMs, graceMs },
    rules: {
      ...{ type, by },
      lowPercent: options.rebalanceLow ?? lowPercent,
      highPercent: options.rebalanceHigh ?? highPercent,
      reservePercent: options.rebalanceReserve ?? reservePercent,
    },
  };
}

async function setPolicy(context: Context, options: PolicyOptions): Promise<void> {
  requireAny(options, '--weight, --typical-cost, --ageing, --steal-after or --rebalance');
  await changed(context, POLICIES, async (hive) => {
    const before = await policyOf(hive);
    const weights = options.weight && before.weights && { ...before.weights, ...options.weight };
    if (weights) requireWhole(weights);
    await hive.pool.setPolicy({
      weights,
      rebalance: balanceOf(options, before.rebalance),
      typicalCost: options.typicalCost ?? 0,
      ageingMs: options.ageing ?? 0,
      ...(options.stealAfter === undefined ? {} : { stealAfterMs: options.stealAfter }),
      expectedVersion: versionOf(options, before.version),
    });
    return policyOf(hive);
  });
}

/** The service would refuse them, too, yet not say which they are. */
function requireWhole(weights: PlacementWeights): void {
  const sum = Object.values(weights).reduce((total, each) => total + each, 0);
  if (sum === 1000) return;
  const each = WEIGHTS.map(([, part]) => `${part} ${weights[part]}`).join(', ');
  throw invalid([{ field: '--weight', value: each, rule: `must add up to 1000, and add up to ${sum}` }]);
}

interface LimitsOptions extends Versioned, Partial<Omit<SwarmLimits, 'swarm' | 'version' | 'setBy' | 'setAt'>> {}

async function setLimits(context: Context, swarm: string, options: LimitsOptions): Promise<void> {
  requireAny(options, '--weight, --max-running, --max-queued, --max-leases, --max-requests or --submits-per-second');
  const { ifVersion: _, ...given } = options;
  await changed(context, LIMITS, async (hive) => {
    const { usage, ...before } = await limitsOf(hive, swarm);
    const limits = { ...before, ...given, swarm };
    const answer = await hive.pool.setSwarmLimits({ limits, expectedVersion: versionOf(options, before.version) });
    return { ...(answer.limits ?? limits), usage };
  });
}

interface LendingOptions extends Versioned {
  closed?: boolean;
  open?: boolean;
  to?: string[];
  toAny?: boolean;
  maxLent?: number;
  keep?: number;
  recallPriority?: number;
  notice?: number;
}

/** An empty list would be lending to any swarm, which has a word of its own: a variable that is not set must not say it. */
function borrowers(value: string, before: string[] = []): string[] {
  const given = list(value);
  if (given.length === 0) throw new InvalidArgumentError('Name a swarm at least, or say --to-any.');
  return [...before, ...given];
}

async function setLending(context: Context, swarm: string, options: LendingOptions): Promise<void> {
  requireAny(options, '--to, --to-any, --closed, --open, --max-lent, --keep, --recall-priority or --notice');
  exclusive(options.closed && options.open, '--open', '--closed');
  exclusive(options.to && options.toAny, '--to-any', '--to');
  const work = async (hive: Hive) => {
    await warnOfUnregistered(hive, options.to ?? [], context.output);
    const { lent, ...before } = await lendingOf(hive, swarm);
    const policy: LendingPolicy = {
      ...before,
      closed: options.closed ?? (options.open ? false : before.closed),
      to: options.toAny ? [] : (options.to ?? before.to),
      maxLent: options.maxLent ?? before.maxLent,
      keepPercent: options.keep ?? before.keepPercent,
      recallPriority: options.recallPriority ?? before.recallPriority,
      noticeMs: options.notice ?? before.noticeMs,
    };
    const answer = await hive.pool.setLendingPolicy({ policy, expectedVersion: versionOf(options, before.version) });
    return { ...(answer.policy ?? policy), lent };
  };
  await changed(context, LENDING, work, swarm);
}

/** Changes something, as the swarm whose it is where no operator is here, and shows what it is then. */
async function changed<T>(
  context: Context,
  kind: Kind<T>,
  change: (hive: Hive) => Promise<T>,
  swarm?: string,
): Promise<void> {
  const work = async (hive: Hive) => {
    const item = await change(hive);
    context.output.data(
      item,
      () => kindTable(kind, [item]),
      () => [`${kind.name}/${kind.nameOf(item)}`],
    );
  };
  if (swarm === undefined) await withHive(context, work);
  else await withHive(context, work, { kind: 'swarm', swarm });
}

function requireAny(options: object, can: string): void {
  const named = Object.keys(options).filter((name) => name !== 'ifVersion');
  if (named.length > 0) return;
  throw new HiveError('INVALID_ARGUMENT', `an option must say what changes: ${can} (--help says more)`);
}

function exclusive(both: unknown, field: string, other: string): void {
  if (both) throw invalid([{ field, value: 'given', rule: `does not go with ${other}` }]);
}
