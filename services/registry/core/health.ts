import { counted } from '../../../libs/kernel/counted.ts';
import type { Liveness, Score } from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import type { Heard, SwarmRow } from './rows.ts';
import { type Criterion, explain, total } from './score.ts';

/** A swarm's row and what this replica has heard of it. */
export interface Known {
  readonly row: SwarmRow;
  readonly heard: Heard | undefined;
}

const LIVENESS_VALUE: Readonly<Record<Liveness, number>> = {
  LIVENESS_UNSPECIFIED: 0,
  LIVENESS_HEALTHY: 1,
  LIVENESS_SUSPECT: 0.5,
  LIVENESS_UNREACHABLE: 0,
};

/** How good a liveness is for work, 0 to 1. */
export const livenessValue = (liveness: Liveness): number => LIVENESS_VALUE[liveness];

/** What is assumed of a load that was never reported: neither good nor bad. */
const UNKNOWN = 0.5;

/** Queued tasks per agent at which the backlog counts half. */
const HALF_BACKLOG = 2;

type LoadPart = (load: NonNullable<Heard['load']>) => number;

/** The load's part of a score; an unreachable swarm's last load says nothing about now. */
function ofLoad({ row, heard }: Known, part: LoadPart): number {
  if (row.liveness === 'LIVENESS_UNREACHABLE') return 0;
  return heard?.load ? part(heard.load) : UNKNOWN;
}

function loadReason({ row, heard }: Known, say: (load: NonNullable<Heard['load']>) => string): string {
  if (row.liveness === 'LIVENESS_UNREACHABLE') return 'its load is not known while it is unreachable';
  return heard?.load ? say(heard.load) : 'it has not reported its load';
}

export const headroom = (known: Known): number => ofLoad(known, (load) => 1 - load.utilization);
export const headroomReason = (known: Known): string =>
  loadReason(known, (load) => `${percent(load.utilization)} of its slots are in use`);

export const reliability = (known: Known): number => ofLoad(known, (load) => 1 - load.errorRate);
export const reliabilityReason = (known: Known): string =>
  loadReason(known, (load) => `${percent(load.errorRate)} of its tasks failed lately`);

export function livenessReason({ row, heard }: Known): string {
  const word = row.liveness.slice('LIVENESS_'.length).toLowerCase();
  if (!row.monitored) return `nothing is known: it has never sent a heartbeat, ${word} is assumed`;
  return heard ? `${word}, phi ${heard.phi.toFixed(1)}` : word;
}

const percent = (share: number): string => `${Math.round(share * 100)}%`;

const HEALTH: readonly Criterion<Known>[] = [
  {
    name: 'liveness',
    weight: 0.4,
    value: ({ row }) => livenessValue(row.liveness),
    reason: livenessReason,
  },
  { name: 'headroom', weight: 0.25, value: headroom, reason: headroomReason },
  { name: 'reliability', weight: 0.2, value: reliability, reason: reliabilityReason },
  {
    name: 'backlog',
    weight: 0.15,
    value: (known) =>
      ofLoad(known, (load) => HALF_BACKLOG / (HALF_BACKLOG + load.queuedTasks / Math.max(load.agents, 1))),
    reason: (known) =>
      loadReason(
        known,
        (load) =>
          `${counted(load.queuedTasks, 'task')} ${load.queuedTasks === 1 ? 'waits' : 'wait'} for ${counted(load.agents, 'agent')}`,
      ),
  },
];

/**
 * How fit a swarm is for work, by part. What a swarm has not reported lowers nothing: without a load its liveness is all
 * that counts.
 */
export function healthOf(known: Known): Score {
  const score = explain(HEALTH, known);
  const [liveness, ...ofItsLoad] = score.parts;
  if (known.heard?.load || known.row.liveness === 'LIVENESS_UNREACHABLE' || !liveness) return score;
  const uncounted = ofItsLoad.map((part) => ({ ...part, weight: 0, reason: `${part.reason}, so this does not count` }));
  return { value: liveness.value, parts: [{ ...liveness, weight: 1 }, ...uncounted] };
}

/** The same where swarms are compared: one of unknown load is then neither better nor worse than others. */
export const healthValue = (known: Known): number => total(HEALTH, known);
