import type { Capability, FindSwarmsRequest, Liveness } from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import {
  headroom,
  headroomReason,
  type Known,
  livenessReason,
  livenessValue,
  reliability,
  reliabilityReason,
} from './health.ts';
import type { Criterion } from './score.ts';

/** A swarm as a candidate for a wanted capability. */
export interface Offer extends Known {
  readonly name: string;
  readonly capability: Capability;
  readonly wanted: Pick<FindSwarmsRequest, 'specializations' | 'region'>;
}

const LIVENESS_WEIGHT = 0.3;
const CAPACITY_WEIGHT = 0.2;

/** More agents are better, with less and less gain: 0.5 for 8, towards 1. */
export const capacityValue = (capacity: number): number => capacity / (capacity + 8);

/** What durable state alone gives to a candidate's score: the index is ordered by it. */
export const standingOf = (liveness: Liveness, capacity: number): number =>
  LIVENESS_WEIGHT * livenessValue(liveness) + CAPACITY_WEIGHT * capacityValue(capacity);

/** The most that everything else can add to it. */
export const MAX_BEYOND_STANDING = 1 - LIVENESS_WEIGHT - CAPACITY_WEIGHT;

/** How well a candidate fits what is wanted. */
export const FIT: readonly Criterion<Offer>[] = [
  {
    name: 'liveness',
    weight: LIVENESS_WEIGHT,
    value: ({ row }) => livenessValue(row.liveness),
    reason: livenessReason,
  },
  {
    name: 'capacity',
    weight: CAPACITY_WEIGHT,
    value: ({ capability }) => capacityValue(capability.capacity),
    reason: ({ capability }) => `it runs up to ${capability.capacity} ${capability.agentType} agents`,
  },
  { name: 'headroom', weight: 0.2, value: headroom, reason: headroomReason },
  { name: 'reliability', weight: 0.1, value: reliability, reason: reliabilityReason },
  {
    name: 'specializations',
    weight: 0.1,
    value: ({ wanted, capability }) =>
      wanted.specializations.length === 0 ? 1 : matching(wanted, capability).length / wanted.specializations.length,
    reason: ({ wanted, capability }) =>
      wanted.specializations.length === 0
        ? 'none is asked for'
        : `${matching(wanted, capability).length} of ${wanted.specializations.length} match`,
  },
  {
    name: 'region',
    weight: 0.1,
    value: ({ wanted, row }) => (wanted.region === '' || wanted.region === row.region ? 1 : 0),
    reason: ({ wanted, row }) =>
      wanted.region === '' ? 'none is preferred' : `it runs in ${row.region || 'no stated region'}`,
  },
];

const matching = (wanted: Offer['wanted'], capability: Capability): string[] =>
  wanted.specializations.filter((each) => capability.specializations.includes(each));
