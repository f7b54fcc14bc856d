import type { Gate, Group, GroupSpec, TaskTies } from '../../libs/wire/hivebus/pool/v1/group.ts';
import type { Task, TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Cluster, DeclaredAgent } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { word } from '../values.ts';
import { API_VERSION } from './plan.ts';

/**
 * What is stored, as the manifest that `apply` would make it from: applied again it changes nothing. What the service has
 * made of it stands under `status`, which `apply` passes over.
 */
export interface WrittenManifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: object;
  readonly status: object;
}

export function clusterManifest({ name, spec, ...status }: Cluster): WrittenManifest {
  return { apiVersion: API_VERSION, kind: 'SwarmCluster', metadata: { name }, spec: spec ?? {}, status };
}

export function agentManifest({ swarm, name, spec, ...status }: DeclaredAgent): WrittenManifest {
  const clusterRef = spec?.clusterRef || swarm;
  const written = { ...spec, clusterRef };
  return {
    ...{ apiVersion: API_VERSION, kind: 'SwarmAgent' },
    ...{ metadata: { name }, spec: written, status: { swarm, ...status } },
  };
}

export function taskManifest({ id, spec, ...status }: Task): WrittenManifest {
  const labels = spec?.labels ?? {};
  return {
    ...{ apiVersion: API_VERSION, kind: 'SwarmTask' },
    metadata: { name: id, ...(Object.keys(labels).length > 0 ? { labels } : {}) },
    spec: spec ? taskSpec(spec) : {},
    status,
  };
}

/**
 * A group, with all tasks of it that are still known; those that were added to it later are no part of what was applied. Of
 * one by consensus the votes are one task.
 */
export function groupManifest({ id, spec, ...status }: Group, tasks: readonly Task[]): WrittenManifest {
  const isFirst = ({ id: task, submittedAt, spec: own }: Task) =>
    task.startsWith(`${id}-`) && submittedAt === status.submittedAt && (own?.ties?.vote ?? 0) <= 1;
  const prefix = `${id}-`;
  const nameOf = (task: string) => (task.startsWith(prefix) ? task.slice(prefix.length) : task);
  const members = tasks.filter(isFirst).map(({ id: task, spec: own }) => ({
    name: nameOf(own?.ties?.vote ? task.slice(0, -'-1'.length) : task),
    spec: own ? memberSpec(own, nameOf) : {},
  }));
  return {
    ...{ apiVersion: API_VERSION, kind: 'SwarmTaskGroup', metadata: { name: id } },
    spec: { ...(spec ? groupSpec(spec, nameOf) : {}), tasks: members },
    status,
  };
}

/** Names stand for the ids of the group's own tasks. */
type NameOf = (task: string) => string;

function memberSpec(spec: TaskSpec, nameOf: NameOf): object {
  const { ties } = spec;
  const after = ties?.after.map((each) => ({ ...each, task: nameOf(each.task) })) ?? [];
  const own = ties && { ...ties, after, group: '' };
  // Left out, its title would be its name.
  return { title: '', ...taskSpec({ ...spec, swarm: '', ...(own ? { ties: own } : {}) }) };
}

function groupSpec(
  { swarm, title, strategy, onFailure, phases, consensus, ...rest }: GroupSpec,
  nameOf: NameOf,
): object {
  return {
    ...{ clusterRef: swarm, title },
    ...without({
      ...rest,
      strategy: wordOrNone(strategy, 'GROUP_STRATEGY'),
      onFailure: wordOrNone(onFailure, 'FAILURE_POLICY'),
      phases: phases.map(({ gate, ...phase }) => ({ ...phase, ...(gate && { gate: gateSpec(gate, nameOf) }) })),
      consensus: consensus && without({ ...consensus, tie: wordOrNone(consensus.tie, 'TIE_RULE') }),
    }),
  };
}

const gateSpec = ({ criteria, ...gate }: Gate, nameOf: NameOf): object => ({
  ...gate,
  criteria: criteria.map((one) => ({
    ...one,
    task: nameOf(one.task),
    comparison: wordOrNone(one.comparison, 'COMPARISON'),
  })),
});

/** As people write it; empty = it was left out. */
const wordOrNone = (value: string, prefix: string): string =>
  value === `${prefix}_UNSPECIFIED` ? '' : word(value, prefix);

/** As it is written; what has its default is left out. */
function taskSpec(spec: TaskSpec): object {
  const { retry, limits, selector, continuity, volumes, budget, ties } = spec;
  return without({
    clusterRef: spec.swarm,
    type: spec.type,
    title: spec.title,
    capabilities: spec.capabilities,
    ...(spec.script === '' ? { payload: spec.payload ?? null } : { task: spec.script }),
    timeout: durationText(spec.timeoutMs),
    maxAttempts: spec.maxAttempts,
    priority: spec.priority,
    persistentVolumes: volumes?.names.map((name) => ({ name })),
    resume: continuity?.resume,
    claim: continuity?.claim,
    budget: budget && without({ ...budget }),
    ...(ties && tiesSpec(ties)),
    selector: selector && without({ ...selector }),
    retry: retry && without({ backoff: durationText(retry.backoffMs), maxBackoff: durationText(retry.maxBackoffMs) }),
    limits: limits && without({ queued: durationText(limits.queuedMs), total: durationText(limits.totalMs) }),
  });
}

/** A manifest has one policy for all that a task depends on. */
const tiesSpec = ({ after, group, phase, approval }: TaskTies): object => ({
  after: after.map(({ task }) => task),
  onDependencyFailure: after[0] && wordOrNone(after[0].onFailure, 'FAILURE_POLICY'),
  ...{ group, phase },
  approval: approval && without({ ...approval }),
});

const without = (spec: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(
    Object.entries(spec).filter(
      ([name, value]) =>
        name === 'payload' ||
        !(value === undefined || value === '' || value === 0 || value === false || isEmptyList(value)),
    ),
  );

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** Exactly as long, as `parseDuration` reads it; empty for 0. */
function durationText(ms: number): string {
  if (ms === 0) return '';
  const [unit, length] = UNITS.find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / length}${unit}`;
}
