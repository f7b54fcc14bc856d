import { formatDuration } from '../../libs/kernel/durations.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { LendingPolicy } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { facts } from '../output.ts';
import { ofEachSwarm } from '../queries.ts';
import { ago } from '../values.ts';
import { type Kind, present, textOf } from './kind.ts';

/** What a swarm lends, and how many of its agents are lent. */
export interface Lending extends LendingPolicy {
  readonly lent: number;
}

export async function lendingOf(hive: Hive, swarm: string): Promise<Lending> {
  const { policy, lent } = await hive.pool.getLendingPolicy({ swarm });
  return { ...present(policy, 'swarm', swarm), lent };
}

const toText = ({ closed, to }: Lending): string => (closed ? 'nobody' : to.join(' ') || 'anybody');
const recallText = ({ recallPriority }: Lending): string => (recallPriority === 0 ? 'never' : `from ${recallPriority}`);

export const LENDING: Kind<Lending> = {
  name: 'lending',
  plural: 'lendings',
  aliases: ['lendingpolicy', 'lendingpolicies'],
  what: 'what swarms lend of their agents: to whom, how many, what they keep',
  service: 'pool',
  none: 'no swarms are registered',
  filters: ['swarm'],
  columns: [
    { title: 'SWARM', of: ({ swarm }) => swarm },
    { title: 'LENDS TO', of: toText },
    { title: 'LENT', of: ({ lent, maxLent }) => (maxLent === 0 ? String(lent) : `${lent}/${maxLent}`) },
    { title: 'KEEPS', of: ({ keepPercent }) => `${keepPercent}%` },
    { title: 'RECALLS', of: recallText },
    { title: 'NOTICE', of: ({ recallPriority, noticeMs }) => (recallPriority === 0 ? '-' : formatDuration(noticeMs)) },
    { title: 'VERSION', of: ({ version }) => version },
  ],
  nameOf: ({ swarm }) => swarm,
  list: (hive, { swarm }) => ofEachSwarm(hive, swarm, (name) => lendingOf(hive, name)),
  get: lendingOf,
  details: (lending) =>
    facts([
      ['swarm', lending.swarm],
      ['lends to', toText(lending)],
      ['lent', lending.maxLent === 0 ? `${lending.lent}, no limit` : `${lending.lent} of at most ${lending.maxLent}`],
      ['keeps', `${lending.keepPercent}% of its agents of each type`],
      [
        'takes back',
        lending.recallPriority === 0
          ? 'never, before a lease is over'
          : `for tasks of its own of priority ${lending.recallPriority} or more, with a notice of ${formatDuration(lending.noticeMs)}`,
      ],
      ['version', lending.version],
      ['set', lending.setAt ? `${ago(lending.setAt)} by ${lending.setBy}` : 'never'],
    ]),
  swarmsOf: ({ swarm }) => [swarm],
  touched: (event) => {
    if (event.type === 'lending.removed') return [textOf(event, 'swarm')];
    const policy: unknown = event.type === 'lending.set' ? event.data?.policy : undefined;
    return policy ? [(policy as LendingPolicy).swarm] : [];
  },
  remove: {
    means: 'the swarm lends what is free, to any, and takes nothing back early; what is lent stays lent',
    run: async (hive, swarm) => {
      await hive.pool.setLendingPolicy({ policy: { ...LENDS_ALL, swarm } });
      return `swarm ${swarm} lends what is free, to any`;
    },
  },
};

const LENDS_ALL: Omit<LendingPolicy, 'swarm'> = {
  ...{ closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0, version: '0', setBy: '' },
};
