import type { SwarmRow } from './rows.ts';
import { type Criterion, explain, total } from './score.ts';

/** Two swarms, or a swarm and nobody in particular. */
export interface Pair {
  readonly left: SwarmRow;
  readonly right: SwarmRow;
}

/** Jaccard's index of two sets: shared over all; two empty ones are alike. */
function jaccard(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const each of a) if (b.has(each)) shared++;
  const all = a.size + b.size - shared;
  return all === 0 ? 1 : shared / all;
}

/** Ruzicka's index, Jaccard's for amounts: agents of each type that both have over those that either has. */
function sharedCapacity({ left, right }: Pair): number {
  let [least, most] = [0, 0];
  const others = new Map(right.capabilities.map((each) => [each.agentType, each.capacity]));
  for (const { agentType, capacity } of left.capabilities) {
    const other = others.get(agentType) ?? 0;
    others.delete(agentType);
    least += Math.min(capacity, other);
    most += Math.max(capacity, other);
  }
  for (const capacity of others.values()) most += capacity;
  return most === 0 ? 1 : least / most;
}

const abilities = (row: SwarmRow): Set<string> =>
  new Set(
    row.capabilities.flatMap((each) => [
      ...each.skills.map((skill) => `${each.agentType}/${skill}`),
      ...each.specializations.map((specialization) => `${each.agentType}:${specialization}`),
    ]),
  );

const typesOf = (row: SwarmRow): string[] => row.capabilities.map((each) => each.agentType);

const SIMILARITY: readonly Criterion<Pair>[] = [
  {
    name: 'agents',
    weight: 0.45,
    value: sharedCapacity,
    reason: ({ left, right }) => list('both run', shared(typesOf(left), typesOf(right)), 'no agent type in common'),
  },
  {
    name: 'abilities',
    weight: 0.3,
    value: ({ left, right }) => jaccard(abilities(left), abilities(right)),
    reason: ({ left, right }) =>
      list('both offer', shared([...abilities(left)], [...abilities(right)]), 'no skill or specialisation in common'),
  },
  {
    name: 'tags',
    weight: 0.15,
    value: ({ left, right }) => jaccard(new Set(left.tags), new Set(right.tags)),
    reason: ({ left, right }) => list('both are tagged', shared(left.tags, right.tags), 'no tag in common'),
  },
  {
    name: 'region',
    weight: 0.1,
    value: ({ left, right }) => (left.region === right.region ? 1 : 0),
    reason: ({ left, right }) =>
      left.region === right.region ? 'the same region' : `${left.region || 'none'} and ${right.region || 'none'}`,
  },
];

const shared = (a: readonly string[], b: readonly string[]): string[] => a.filter((each) => b.includes(each));

const list = (what: string, items: readonly string[], otherwise: string): string =>
  items.length === 0 ? otherwise : `${what} ${items.slice(0, 5).join(', ')}${items.length > 5 ? ', …' : ''}`;

/** How alike two swarms are, 0 to 1: the same in both directions, 1 for a swarm and itself. */
export const similarityOf = (pair: Pair) => explain(SIMILARITY, pair);

export const similarityValue = (pair: Pair): number => total(SIMILARITY, pair);
