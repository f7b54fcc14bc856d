import { counted } from '../../libs/kernel/counted.ts';
import { formatDuration } from '../../libs/kernel/durations.ts';
import { notFound } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { PlacementWeights, Policy } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { facts } from '../output.ts';
import { ago } from '../values.ts';
import { type Column, type Kind, present } from './kind.ts';

/** A federation has one, which is called as it is. */
export interface NamedPolicy extends Policy {
  readonly name: string;
}

/** In the order in which `explain` shows the parts of a score. */
export const WEIGHTS: readonly (readonly [title: string, weight: keyof PlacementWeights, what: string])[] = [
  ['PERF', 'performance', 'how often an agent succeeded, and how fast'],
  ['FREE', 'free', 'the share of its slots that is free'],
  ['PLACE', 'locality', 'its own swarm, then the region that was asked for'],
  ['SKILL', 'specialisation', 'how many of the specialisations asked for it has'],
  ['PRIO', 'priority', 'its declared priority'],
  ['COST', 'cost', 'how cheap it is'],
];

export async function policyOf(hive: Hive): Promise<NamedPolicy> {
  const { policy } = await hive.pool.getPolicy({});
  return { name: hive.federation, ...present(policy, 'policy', hive.federation) };
}

const setText = ({ setBy, setAt }: Pick<Policy, 'setBy' | 'setAt'>): string =>
  setAt ? `${ago(setAt)} by ${setBy}` : 'never: the defaults';

const stealText = ({ stealAfterMs }: Policy): string =>
  stealAfterMs > 0
    ? `idle agents of other swarms take what has waited ${formatDuration(stealAfterMs)}`
    : 'idle agents of other swarms take nothing by themselves';

function balanceText({ rebalance }: Policy): string {
  if (!rebalance || rebalance.everyMs === 0) return 'on request only, by hivebus rebalance';
  const { everyMs, rules, looks, maxMoves } = rebalance;
  const band = `who is over ${rules?.highPercent || 90}% gets agents`;
  const how = rules?.by === 'REBALANCE_BY_MIGRATION' ? 'for good' : 'lent';
  return `every ${formatDuration(everyMs)}, ${band}, ${how}, after ${counted(looks || 2, 'look')}, ${maxMoves || 16} at once at most`;
}

export const POLICIES: Kind<NamedPolicy> = {
  name: 'policy',
  plural: 'policies',
  aliases: ['po'],
  what: 'by which rules agents are chosen; one for the federation',
  service: 'pool',
  none: 'there is no policy',
  filters: [],
  columns: [
    { title: 'POLICY', of: ({ name }) => name },
    { title: 'VERSION', of: ({ version }) => version },
    ...WEIGHTS.map(
      ([title, weight]): Column<NamedPolicy> => ({ title, of: ({ weights }) => String(weights?.[weight] ?? 0) }),
    ),
    { title: 'SET', of: setText },
  ],
  nameOf: ({ name }) => name,
  list: async (hive) => [await policyOf(hive)],
  get: async (hive, name) => {
    if (name === hive.federation) return policyOf(hive);
    throw notFound('policy', name, `a federation has one, here ${hive.federation}`);
  },
  details: (policy) =>
    facts([
      ['policy', policy.name],
      ['version', policy.version],
      ['set', setText(policy)],
      ['weights', 'in thousandths of a score'],
      ...WEIGHTS.map(
        ([, weight, what]) => [`  ${weight}`, `${String(policy.weights?.[weight] ?? 0).padStart(4)}  ${what}`] as const,
      ),
      ['typical cost', `${policy.typicalCost}, which counts a half`],
      ['ageing', `${formatDuration(policy.ageingMs)} of waiting make up for one point of priority`],
      ['stealing', stealText(policy)],
      ['rebalancing', balanceText(policy)],
    ]),
  swarmsOf: () => [],
  touched: ({ type }, hive) => (type === 'policy.set' ? [hive.federation] : []),
};
