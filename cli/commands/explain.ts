import type { Command } from 'commander';
import { HiveError, invalid, quote } from '../../libs/kernel/errors.ts';
import type {
  AgentSelector,
  ExplainedChoice,
  ExplainRequest,
  ExplainResponse,
  Placement,
  ScoreParts,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { callLines } from '../help.ts';
import { colors, terminalWidth } from '../output.ts';
import { printable } from '../printable.ts';
import { stateText } from '../render.ts';
import { type SelectorOptions, selectorOf, selectorText, withSelector } from '../selector.ts';
import { requireRegistered } from '../unknown-names.ts';
import { between, list, missingOptions, shellWord } from '../values.ts';
import { wrapped, wrappedFacts, wrappedTable } from '../wrapped-table.ts';
import { callsFor, type Wanted } from './explained-calls.ts';
import { aheadText, holdsFor } from './explained-wait.ts';

const HELP = `
Of a task, a group of tasks, a request for an agent, a lease or an agent's
migration: where it is, why, and what has happened to it. Of what was given an
agent: how many could have had it, what the chosen one scored by part, the
runners-up and what put them behind, as it was decided then. Of what waits:
which agents there are, how many of them each condition rules out, and what
would let it go on. Of a migration: what it waits for and until when, and the
tasks of its agent. With --borrow: the same of an agent that is wished for, as
things are now.

Examples:
  hivebus explain nightly
  hivebus explain lease-3de8knasftcs
  hivebus explain migration-3de8knasftcs
  hivebus explain nightly -o json | jq '.choice.best[] | {agent, score, behind}'
  hivebus explain --borrow --swarm code --type linter --capability eslint`;

interface ExplainOptions extends SelectorOptions {
  borrow?: boolean;
  swarm?: string;
  type?: string;
  capability: string[];
  from: string;
}

export function addExplain(program: Command): void {
  withSelector(program.command('explain'))
    .description('why something is where it is, and what it waits for')
    .argument('[id]', "a task's, a group's, a request's, a lease's or a migration's id")
    .option('--borrow', 'instead: why an agent can or cannot be borrowed now')
    .option('--swarm <name>', 'with --borrow: the swarm that would borrow')
    .option('--type <type>', 'with --borrow: the type of agent')
    .option('--capability <name>', 'with --borrow: what it must be able to do; may be repeated', list, [])
    .option('--from <swarm>', 'with --borrow: only from this swarm', '')
    .addHelpText('after', HELP)
    .action(action(explain));
}

async function explain(context: Context, id: string | undefined, options: ExplainOptions): Promise<void> {
  const request = requestOf(id, options);
  await withHive(context, async (hive) => {
    const { swarm, lender } = request.wish ?? {};
    await requireRegistered(
      hive,
      [swarm, lender].filter((name): name is string => Boolean(name)),
    );
    const answer = await hive.pool.explain(request).catch((error: unknown) => {
      throw withTrail(HiveError.from(error), request.id);
    });
    context.output.data(answer, () => explanation(printable(answer)));
  });
}

function requestOf(id: string | undefined, options: ExplainOptions): Partial<ExplainRequest> {
  const { borrow, swarm = '', type = '', capability, from } = options;
  if (!borrow) {
    refuseWish({ ...options, ...selectorOf(options) });
    const name = id?.replace(/^(task|group|request|lease|migration)s?\//, '');
    if (name) return { id: name };
    const text =
      'name a task, a group, a request, a lease or a migration (hivebus explain ID), or wish for an agent with --borrow (--help says more)';
    throw new HiveError('INVALID_ARGUMENT', text);
  }
  if (id) throw invalid([{ field: 'ID', value: `"${id}"`, rule: 'does not go with --borrow' }]);
  const missing = missingOptions({ '--swarm <name>': swarm, '--type <type>': type });
  if (missing) throw missing;
  const selector = selectorOf(options);
  const wish = { swarm, type, capabilities: capability, termMs: 0, lender: from, waitMs: 0, priority: 0, id: '' };
  return { wish: selector ? { ...wish, selector } : wish };
}

/** What says which agent is wished for means nothing of what is there already. */
function refuseWish({ swarm, type, capability, from, labels, specialisations, region }: Wished): void {
  const given: Record<string, string> = {
    ...{ '--swarm': swarm ?? '', '--type': type ?? '', '--capability': capability.join(), '--from': from },
    ...{ '--agent-label': Object.keys(labels ?? {}).join(), '--specialisation': (specialisations ?? []).join() },
    '--region': region ?? '',
  };
  const faults = Object.entries(given)
    .filter(([, value]) => value !== '')
    .map(([field, value]) => ({ field, value: quote(value), rule: 'goes with --borrow only' }));
  if (faults.length > 0) throw invalid(faults);
}

type Wished = Pick<ExplainOptions, 'swarm' | 'type' | 'capability' | 'from'> & Partial<AgentSelector>;

/** What is not kept any more, such as a request that was taken back, may still be read in the journal. */
function withTrail(error: HiveError, id = ''): HiveError {
  if (error.code !== 'NOT_FOUND' || !id) return error;
  const trail = `what became of it, the events may tell: hivebus events --since 1h --no-follow | grep ${shellWord(id)}`;
  return new HiveError('NOT_FOUND', `${error.message}; ${trail}`, { cause: error });
}

/** An answer for people; not wider than `width`. */
export function explanation(answer: ExplainResponse, width?: number): string {
  const { task, lease, history, placement, choice, request, group, migration } = answer;
  const wanted = task?.spec ?? request?.wish;
  const parts = [
    wrappedFacts(
      [
        ['task', task?.id ?? ''],
        ['group', group?.id ?? ''],
        ['lease', lease?.id ?? ''],
        ['request', request?.id ?? ''],
        ['migration', migration?.migration?.id ?? ''],
        ['state', stateOf(answer)],
        ['why', answer.summary],
        ['until', migration?.deadline ?? ''],
        ['left', migration && migration.left.length > 0 ? `${migration.left.join(', ')}: others go on with it` : ''],
        ['swarm', wanted?.swarm ?? group?.spec?.swarm ?? ''],
        ['needs', wanted ? [wanted.type, ...wanted.capabilities].join(' ') : ''],
        ['agent', selectorText(wanted?.selector)],
        ['from', request?.wish?.lender ?? ''],
        ['chosen', choice?.summary ?? ''],
        ['ahead', placement ? aheadText(placement, request ? 'request' : 'task') : ''],
      ],
      width,
    ),
  ];
  if (choice) parts.push(choiceText(choice, width));
  if (placement) parts.push(placementText(placement, width), unblockersText(placement, wanted, width));
  parts.push(holdsText(answer, width));
  if (history.length > 0) parts.push(historyText(history, width));
  return parts.filter((part) => part !== '').join('\n\n');
}

function stateOf({ task, group, lease, migration }: ExplainResponse): string {
  if (task) return stateText(task.state, 'TASK_STATE');
  if (group) return stateText(group.state, 'GROUP_STATE');
  if (migration?.migration) return stateText(migration.migration.state, 'MIGRATION_STATE');
  return lease ? stateText(lease.state, 'LEASE_STATE') : '';
}

/** Conditions that rule nobody out and leave nobody are of no interest. */
function placementText({ agents, conditions, fitting }: Placement, width?: number): string {
  if (agents === 0) return 'no agents are registered in this federation';
  const rows = conditions
    .filter(({ ruledOut, left }) => ruledOut > 0 || left > 0)
    .map(({ text, ruledOut, left, examples }) => [
      text,
      String(left),
      ruledOut === 0 ? '-' : colors.yellow(String(ruledOut)),
      examples.join(' ') + (ruledOut > examples.length ? ' …' : '') || '-',
    ]);
  const all = ['agents of this federation', String(agents), '-', '-'];
  const last = ['can have it', String(fitting), '-', '-'];
  return wrappedTable(
    ['AN AGENT THAT', 'LEFT', 'RULED OUT', 'E.G.'],
    [all, ...rows, ...(fitting > 0 ? [last] : [])],
    width,
  );
}

const PARTS: readonly (readonly [title: string, part: keyof ScoreParts])[] = [
  ['PERF', 'performance'],
  ['FREE', 'free'],
  ['PLACE', 'locality'],
  ['SKILL', 'specialisation'],
  ['PRIO', 'priority'],
  ['COST', 'cost'],
];

/** The scores of those that were best, and below them what put the others behind. Of 1000 in all. */
function choiceText({ best, candidates, policyVersion }: ExplainedChoice, width?: number): string {
  const number = (value: number) => String(Number(value.toFixed(1)));
  const rows = best.map(({ agent, score, parts }) => [
    agent,
    number(score),
    ...PARTS.map(([, part]) => number(parts?.[part] ?? 0)),
  ]);
  const scores = wrappedTable([`OF ${candidates}`, 'SCORE', ...PARTS.map(([title]) => title)], rows, width);
  const behind = best.filter((each) => each.behind !== '').map(({ agent, behind: why }) => `${agent}: ${why}`);
  const lines = behind.flatMap((each) => wrapped(each, (width ?? terminalWidth()) - 4).map(indented));
  const weighed = `weighed by version ${policyVersion} of the policy`;
  return [scores, ...(lines.length > 0 ? ['', 'Behind', ...lines] : []), '', weighed].join('\n');
}

const indented = (line: string, i: number): string => (i === 0 ? `  - ${line}` : `    ${line}`);

function unblockersText(placement: Placement, wanted: Wanted | undefined, width = terminalWidth()): string {
  const lines = placement.unblockers.flatMap((unblocker) => {
    const { kind, text, agents, at, request } = unblocker;
    const why = request ? '; why it waits, says' : '';
    const renewed = kind === 'return' ? ' unless it is renewed' : '';
    const when = at ? `, in ${between(new Date().toISOString(), at)}${renewed}` : '';
    const calls = callsFor(unblocker, placement, wanted);
    return wayOn(`${text}${agents > 0 ? ` (${agents})` : ''}${when}${why}`, calls, width);
  });
  return lines.length === 0 ? '' : ['It goes on when', ...lines].join('\n');
}

/** Unlike what lets something go on that waits for an agent, all of it is needed. */
function holdsText(answer: ExplainResponse, width?: number): string {
  const holds = holdsFor(answer);
  if (holds.length === 0) return '';
  const title = holds.length === 1 ? 'It goes on when' : 'It goes on when all of this is so';
  return [title, ...holds.flatMap(({ text, calls }) => wayOn(text, calls, width))].join('\n');
}

/** What would let it go on, and the calls that bring that about; empty = none do. */
function wayOn(text: string, calls: readonly string[], width = terminalWidth()): string[] {
  const lines = calls.flatMap((call) => callLines(call, width - 4)).map((each) => `    ${each}`);
  return [...wrapped(`${text}${calls.length > 0 ? ':' : ''}`, width - 4).map(indented), ...lines];
}

const historyText = (history: ExplainResponse['history'], width?: number): string =>
  wrappedTable(
    ['WHEN', 'AFTER', 'WHAT'],
    history.map(({ at, text }) => [(at ?? '').slice(11, 23), between(history[0]?.at, at), text]),
    width,
  );
