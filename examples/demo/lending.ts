import { formatDuration } from '../../libs/kernel/durations.ts';
import type { RankedAgent, ScoreParts } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { grid } from './grid.ts';
import type { Lent, Waited } from './reasons.ts';

/** Who was lent to whom, why that one, and why a task had to wait: for the screen and for the report. */

const PARTS: readonly (readonly [title: string, part: keyof ScoreParts])[] = [
  ['performance', 'performance'],
  ['free slots', 'free'],
  ['place', 'locality'],
  ['skills', 'specialisation'],
  ['priority', 'priority'],
  ['cost', 'cost'],
];

/** Of 1000 in all. */
const points = (value: number): string => String(Number(value.toFixed(1)));

const INDENT = ' '.repeat(11);

/** Of the first one in full, of the others in a line: the report has the rest. */
export function lendingLines(lent: readonly Lent[]): string[] {
  if (lent.length === 0) return ['lent       nobody'];
  const lines = lent.map((each) => `${each.agent.padEnd(22)} to ${each.borrower}${rankOf(each)}`);
  lines.splice(1, 0, ...reasonsOf(lent[0]));
  return lines.map((line, i) => (i === 0 ? `lent       ${line}` : INDENT + line));
}

function rankOf({ choice }: Lent): string {
  if (!choice) return '';
  const score = `${points(choice.best[0]?.score ?? 0)} of 1000 points`;
  return choice.candidates > 1 ? `, ${score}, the best of ${choice.candidates}` : `, ${score}, the only one free`;
}

function reasonsOf(lent: Lent | undefined): string[] {
  const [chosen, next] = lent?.choice?.best ?? [];
  return [...(chosen ? [`  ${partsOf(chosen)}`] : []), ...(next ? [`  next ${next.agent}: ${next.behind}`] : [])];
}

/** What gave nothing is left out. */
const partsOf = ({ parts }: RankedAgent): string =>
  PARTS.filter(([, part]) => (parts?.[part] ?? 0) > 0)
    .map(([title, part]) => `${title} ${points(parts?.[part] ?? 0)}`)
    .join(', ');

export function waitingLines(waited: Waited | undefined): string[] {
  if (!waited) return [];
  const { title, agents } = waited;
  return [
    `waited     ${title} for ${formatDuration(waited.waitedMs)}, until ${endOf(waited)}`,
    ...ruledOut(waited).map(({ ruledOut, text }) => `${INDENT}  ruled out ${ruledOut} of ${agents}: not "${text}"`),
  ];
}

const ruledOut = ({ conditions }: Waited) => conditions.filter((each) => each.ruledOut > 0);

const endOf = ({ agent, lentBy }: Waited): string =>
  lentBy === '' ? `${agent} was free` : `${agent} was lent by ${lentBy}`;

/** The same for the report, all of it. */
export function lendingSections(lent: readonly Lent[], waited: Waited | undefined): string[] {
  return ['## Lent, and why', ...(lent.length > 0 ? lent.flatMap(lentSection) : ['Nobody.']), ...waitedSection(waited)];
}

function lentSection({ lease, agent, lender, borrower, choice }: Lent): string[] {
  const head = `**${agent}**, by ${lender} to ${borrower} (\`${lease}\`)`;
  if (!choice) return [`${head}.`];
  const rows = choice.best.map(({ agent: name, score, parts, behind }) => [
    name,
    points(score),
    ...PARTS.map(([, part]) => points(parts?.[part] ?? 0)),
    behind === '' ? 'chosen' : behind,
  ]);
  return [`${head}: ${choice.summary}.`, grid(['agent', 'score', ...PARTS.map(([title]) => title), 'why not'], rows)];
}

function waitedSection(waited: Waited | undefined): string[] {
  if (!waited) return [];
  const { title, task, agents, waitedMs, unblockers, choice } = waited;
  const got = choice ? ` ${choice.summary}.` : '';
  return [
    '## A task that waited, and why',
    `\`${title}\` (\`${task}\`) waited ${formatDuration(waitedMs)}, until ${endOf(waited)}.${got} Of ${agents} agents at that time:`,
    grid(
      ['an agent that', 'left', 'ruled out', 'such as'],
      waited.conditions.map(({ text, left, ruledOut, examples }) => [
        text,
        String(left),
        String(ruledOut),
        examples.join(' '),
      ]),
    ),
    `It could go on when:\n\n${unblockers.map((each) => `- ${each}`).join('\n')}`,
  ];
}
