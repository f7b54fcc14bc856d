import fc from 'fast-check';
import { HOST_LABEL, KEEPS_VOLUMES } from '../../../libs/protocol/volumes.ts';
import type { Outcome, TaskVolumes } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { groupSteps } from './group-model-fixtures.ts';

/** What may happen to a small pool. */

export const SWARMS = ['a', 'b', 'c'] as const;
const OUTCOMES: readonly Outcome[] = [
  'OUTCOME_SUCCEEDED',
  'OUTCOME_SUCCEEDED',
  'OUTCOME_FAILED',
  'OUTCOME_TERMINAL',
  'OUTCOME_TIMED_OUT',
  'OUTCOME_CANCELLED',
  'OUTCOME_LOST',
];

export const hostLabels = (host: string) => ({ [KEEPS_VOLUMES]: 'yes', [HOST_LABEL]: host });
const CONTINUITIES = [
  { resume: true, claim: false },
  { resume: true, claim: true },
];

const swarm = fc.constantFrom(...SWARMS);
const type = fc.constantFrom('lint', 'test');
const capabilities = fc.constantFrom<string[]>([], ['ts'], ['js'], ['ts', 'js']);
const agentIndex = fc.nat({ max: 3 });
const taskIndex = fc.nat({ max: 40 });

export const step = fc.oneof(
  ...groupSteps,
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      swarm,
      type,
      capabilities,
      agent: agentIndex,
      slots: fc.integer({ min: 1, max: 3 }),
      instance: fc.constantFrom('i1', 'i2', 'i3'),
      allowScripts: fc.boolean(),
      cost: fc.constantFrom(0, 3),
      labels: fc.constantFrom({}, hostLabels('h1'), hostLabels('h2')),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      swarm,
      type,
      capabilities,
      script: fc.constantFrom('', '', 'true'),
      priority: fc.nat({ max: 2 }),
      continuity: fc.constantFrom(undefined, ...CONTINUITIES),
      budget: fc.constantFrom(undefined, undefined, { spend: 5, hops: 0 }, { spend: 40, hops: 2 }),
      parent: fc.option(taskIndex),
      volumes: fc.constantFrom<(TaskVolumes | undefined)[]>(undefined, undefined, { names: ['w'] }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('checkpoint' as const), task: taskIndex, attempt: fc.nat({ max: 3 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('confirm' as const), task: taskIndex }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      task: taskIndex,
      outcome: fc.constantFrom(...OUTCOMES),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('stale' as const), task: taskIndex, attempt: fc.nat({ max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('artefact' as const), task: taskIndex, attempt: fc.nat({ max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), task: taskIndex }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('observe' as const),
      swarm,
      agent: agentIndex,
      state: fc.constantFrom('READY' as const, 'SUSPECT' as const, 'UNREACHABLE' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deregister' as const), swarm, agent: agentIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('drain' as const),
      swarm,
      agent: agentIndex,
      graceMs: fc.constantFrom(0, 3000, 60_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resume' as const), swarm, agent: agentIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('migrate' as const),
      swarm,
      to: swarm,
      agent: agentIndex,
      by: fc.constantFrom('a', 'b', 'c', 'ada'),
      graceMs: fc.constantFrom(0, 3000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('arrive' as const), migration: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stay' as const), migration: fc.nat({ max: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('borrow' as const), swarm, type, capabilities }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ask' as const), swarm, type, capabilities }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), lease: fc.nat({ max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), lease: fc.nat({ max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), lease: fc.nat({ max: 10 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 4000, 11_000, 70_000) }),
  },
);

export type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
