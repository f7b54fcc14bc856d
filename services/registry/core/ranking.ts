import { fitting } from '../../../libs/protocol/answer-size.ts';
import type { View } from '../../../libs/protocol/machine.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { mustHaveSwarm } from './access.ts';
import { capacityValue, FIT, MAX_BEYOND_STANDING, type Offer } from './fit.ts';
import { healthOf, healthValue, type Known } from './health.ts';
import type { SwarmRow } from './rows.ts';
import { Best, type Criterion, explain, total } from './score.ts';
import { similarityOf, similarityValue } from './similarity.ts';
import type { RegistrySoft, RegistryState } from './state.ts';
import { viewOf } from './swarm-view.ts';

/** How many candidates of each agent type are looked at for a fallback, best standing first. */
const MAX_CONSIDERED = 1000;
const DEFAULT_FOUND = 10;
const DEFAULT_FALLBACKS = 5;

/**
 * The best swarms for a wanted capability. Candidates come from the index by their standing; the rest of the score
 * (load, specialisations, region) can add only so much, so the search ends when no later candidate can be among the
 * best any more: the threshold algorithm of Fagin, Lotem and Naor (2003) for one list. The result is exact.
 */
export function findSwarms(
  state: RegistryState,
  wanted: rpc.FindSwarmsRequest,
  view: View<RegistrySoft>,
): rpc.FindSwarmsResponse {
  const best = new Best<Offer>(wanted.limit || DEFAULT_FOUND);
  for (const { name, standing } of state.capabilities.bestFirst(wanted.agentType)) {
    if (standing + MAX_BEYOND_STANDING + ROUNDING < best.bar) break;
    const offer = offerOf(state, name, wanted, view.soft);
    if (offer) best.offer(offer, total(FIT, offer));
  }
  return {
    swarms: fitting(best.items().map((offer) => ({ swarm: viewOf(offer.row, view.soft), score: explain(FIT, offer) }))),
    candidates: state.capabilities.count(wanted.agentType),
    revision: String(view.revision),
  };
}

/** Sums of the same parts in another order differ by less than this. */
const ROUNDING = 1e-9;

function offerOf(
  state: RegistryState,
  name: string,
  wanted: rpc.FindSwarmsRequest,
  soft: RegistrySoft,
): Offer | undefined {
  const row = state.swarms.get(name);
  const capability = row?.capabilities.find((each) => each.agentType === wanted.agentType);
  if (!row || !capability) return undefined;
  if (row.liveness === 'LIVENESS_UNREACHABLE' && !wanted.includeUnreachable) return undefined;
  if (!wanted.skills.every((skill) => capability.skills.includes(skill))) return undefined;
  return { name, row, capability, wanted, heard: soft.heard(name) };
}

export function compareSwarms(
  state: RegistryState,
  { left, right }: rpc.CompareSwarmsRequest,
  view: View<RegistrySoft>,
): rpc.CompareSwarmsResponse {
  const pair = { left: mustHaveSwarm(state, left), right: mustHaveSwarm(state, right) };
  return { similarity: similarityOf(pair), revision: String(view.revision) };
}

/** A swarm that could stand in. */
interface StandIn extends Known {
  readonly name: string;
  /** The swarm to stand in for; undefined = nobody in particular. */
  readonly of: SwarmRow | undefined;
  /** How many agents are wanted of each type; 0 = as many as there are. */
  readonly wanted: ReadonlyMap<string, number>;
}

const FALLBACK: readonly Criterion<StandIn>[] = [
  {
    name: 'similarity',
    weight: 0.4,
    value: ({ of, row }) => (of ? similarityValue({ left: of, right: row }) : 1),
    reason: ({ of, row }) =>
      of ? mainReason(similarityOf({ left: of, right: row })) : 'no swarm to resemble was named',
  },
  {
    name: 'coverage',
    weight: 0.3,
    value: coverage,
    reason: ({ row, wanted }) =>
      [...wanted.keys()].map((type) => `${capacityOf(row, type)} ${type}`).join(', ') ||
      'nothing in particular is wanted',
  },
  { name: 'health', weight: 0.3, value: healthValue, reason: (known) => mainReason(healthOf(known)) },
];

/** The part that counts most, in words. */
const mainReason = (score: rpc.Score): string => `${score.parts[0]?.name}: ${score.parts[0]?.reason}`;

const capacityOf = (row: SwarmRow, type: string): number =>
  row.capabilities.find((each) => each.agentType === type)?.capacity ?? 0;

/** The share of the wanted agents that a swarm could run, each type counting the same. */
function coverage({ row, wanted }: StandIn): number {
  let sum = 0;
  for (const [type, count] of wanted) {
    const capacity = capacityOf(row, type);
    sum += count === 0 ? capacityValue(capacity) : Math.min(1, capacity / count);
  }
  return wanted.size === 0 ? 1 : sum / wanted.size;
}

/** Who could stand in for a swarm, or offer a wanted capability in its place. */
export function recommendFallbacks(
  state: RegistryState,
  request: rpc.RecommendFallbacksRequest,
  view: View<RegistrySoft>,
): rpc.RecommendFallbacksResponse {
  const of = request.swarm === '' ? undefined : mustHaveSwarm(state, request.swarm);
  const wanted = wantedOf(of, request.agentType);
  const best = new Best<StandIn>(request.limit || DEFAULT_FALLBACKS);
  for (const name of candidates(state, wanted.keys())) {
    const row = state.swarms.get(name);
    if (!row || name === request.swarm || row.liveness === 'LIVENESS_UNREACHABLE') continue;
    const standIn = { name, row, of, wanted, heard: view.soft.heard(name) };
    best.offer(standIn, total(FALLBACK, standIn));
  }
  return {
    fallbacks: fitting(
      best.items().map((each) => ({ swarm: viewOf(each.row, view.soft), score: explain(FALLBACK, each) })),
    ),
    revision: String(view.revision),
  };
}

function wantedOf(of: SwarmRow | undefined, agentType: string): Map<string, number> {
  if (agentType !== '') return new Map([[agentType, of ? capacityOf(of, agentType) : 0]]);
  return new Map(of?.capabilities.map((each) => [each.agentType, each.capacity]));
}

function candidates(state: RegistryState, types: Iterable<string>): Set<string> {
  const names = new Set<string>();
  for (const type of types) {
    let considered = 0;
    for (const { name } of state.capabilities.bestFirst(type)) {
      if (++considered > MAX_CONSIDERED) break;
      names.add(name);
    }
  }
  return names;
}
