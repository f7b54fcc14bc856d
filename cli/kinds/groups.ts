import type { GateReport, Group, Tally } from '../../libs/wire/hivebus/pool/v1/group.ts';
import { groupManifest } from '../manifest/written.ts';
import { plainLine, printable } from '../printable.ts';
import { allGroups, allTasks } from '../queries.ts';
import { stateText } from '../render.ts';
import { ago, between, word } from '../values.ts';
import { wrappedFacts, wrappedTable } from '../wrapped-table.ts';
import { type Kind, named, present } from './kind.ts';

export const GROUPS: Kind<Group> = {
  name: 'group',
  plural: 'groups',
  aliases: ['g', 'swarmtaskgroup', 'swarmtaskgroups'],
  what: 'tasks that belong together',
  service: 'pool',
  none: 'no groups of tasks',
  filters: ['swarm'],
  columns: [
    { title: 'GROUP', of: ({ id }) => id },
    { title: 'STATE', of: ({ state }) => stateText(state, 'GROUP_STATE') },
    { title: 'DONE', of: ({ counts }) => `${counts?.succeeded ?? 0}/${counts?.total ?? 0}` },
    { title: 'FAILED', of: ({ counts }) => String(counts?.failed ?? 0) },
    { title: 'RUNS', of: ({ counts }) => String(counts?.running ?? 0) },
    { title: 'PHASE', of: ({ phase }) => phase || '-' },
    { title: 'TOOK', of: ({ submittedAt, endedAt }) => (endedAt ? between(submittedAt, endedAt) : '-') },
    { title: 'STRATEGY', of: strategyOf },
    { title: 'SWARM', of: ({ spec }) => spec?.swarm ?? '-' },
    { title: 'TITLE', of: ({ spec }) => spec?.title || '-' },
  ],
  nameOf: ({ id }) => id,
  list: (hive, { swarm = '' }) => allGroups(hive, { swarm }),
  get: async (hive, name) => present((await hive.pool.getGroup({ id: name })).group, 'group', name),
  details: (group) => groupDetails(group),
  manifest: async (group, hive) => groupManifest(group, await allTasks(hive, { group: group.id })),
  swarmsOf: ({ spec }) => (spec ? [spec.swarm] : []),
  touched: (event) => (event.type === 'group.forgotten' ? (event.data?.groups ?? []) : named('group', 'group')(event)),
  remove: {
    means: 'what of it waits is cancelled, what runs is asked to end; what has ended is forgotten by itself',
    run: async (hive, name) => cancelText((await hive.pool.cancelGroup({ id: name })).group, name),
  },
};

export const cancelText = (group: Group | undefined, id: string): string =>
  group?.endedAt ? `group ${id} is ended` : `group ${id} is asked to end`;

function strategyOf({ spec }: Group): string {
  const strategy = spec?.strategy ?? 'GROUP_STRATEGY_UNSPECIFIED';
  return strategy === 'GROUP_STRATEGY_UNSPECIFIED' ? 'parallel' : word(strategy, 'GROUP_STRATEGY');
}

/** One group with all that is known of it; not wider than `width`. */
export function groupDetails(found: Group, width?: number): string {
  const group = printable(found);
  const { counts, concurrency } = group;
  const tasks = counts
    ? `${counts.total}: ${counts.succeeded} succeeded, ${counts.failed} failed, ${counts.cancelled} cancelled, ` +
      `${counts.running} run, ${counts.queued} wait for agents, ${counts.blocked} are held back`
    : '';
  const known = wrappedFacts(
    [
      ['group', group.id],
      ['title', group.spec?.title ?? ''],
      ['state', stateText(group.state, 'GROUP_STATE')],
      ['waits for', group.waitingFor],
      ['reason', group.reason],
      ['swarm', group.spec?.swarm ?? ''],
      ['strategy', strategyOf(group) + (concurrency > 0 ? `, ${concurrency} at once` : '')],
      ['tasks', tasks],
      ['phase', group.phase],
      ['submitted', `${ago(group.submittedAt)} by ${group.submittedBy}`],
      ['took', group.endedAt ? `${between(group.submittedAt, group.endedAt)} from submission to end` : ''],
      ['result', plainLine(JSON.stringify(found.result) ?? '')],
    ],
    width,
  );
  return [known, gatesText(group.gates, width), talliesText(group.tallies, width)]
    .filter((part) => part !== '')
    .join('\n\n');
}

const gatesText = (gates: readonly GateReport[], width?: number): string =>
  gates.length === 0
    ? ''
    : wrappedTable(
        ['GATE AFTER', 'IS', 'ASKED', 'FOUND', 'SAID BY'],
        gates.flatMap(({ phase, state, findings, verdict }) =>
          findings.map(({ text, holds, found }, i) => [
            i === 0 ? phase : '',
            i === 0 ? stateText(state, 'GATE_STATE') : '',
            `${holds ? '' : 'not: '}${text}`,
            found,
            i === 0 ? (verdict?.by ?? '-') : '',
          ]),
        ),
        width,
      );

const talliesText = (tallies: readonly Tally[], width?: number): string =>
  tallies.length === 0
    ? ''
    : wrappedTable(
        ['VOTES', 'WON', 'BY', 'RESULT'],
        tallies.map(({ result, agents, won }) => [
          String(agents.length),
          won ? 'yes' : '-',
          agents.join(' '),
          plainLine(JSON.stringify(result) ?? ''),
        ]),
        width,
      );
