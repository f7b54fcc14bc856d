import type { GroupSpec, TaskDependency, TaskTies } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { SubmitGroupRequest, TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { type Pool, spec } from './fixtures.ts';

/** What the tests of groups share. */

export const after = (...tasks: (string | TaskDependency)[]): TaskDependency[] =>
  tasks.map((task) => (typeof task === 'string' ? { task, onFailure: 'FAILURE_POLICY_UNSPECIFIED' } : task));

export const ties = (change: Partial<TaskTies> = {}): TaskTies => ({
  ...{ after: [], group: '', phase: '', vote: 0 },
  ...change,
});

export const groupSpec = (change: Partial<GroupSpec> = {}): GroupSpec => ({
  swarm: 'a',
  title: '',
  strategy: 'GROUP_STRATEGY_UNSPECIFIED',
  maxConcurrency: 0,
  onFailure: 'FAILURE_POLICY_UNSPECIFIED',
  phases: [],
  ...change,
});

/** A task's name, and what differs from a plain one. */
export type Named = readonly [name: string, change?: Partial<TaskSpec>];

export const groupRequest = (
  id: string,
  tasks: readonly Named[],
  change: Partial<GroupSpec> = {},
): SubmitGroupRequest => ({
  id,
  spec: groupSpec(change),
  tasks: tasks.map(([name, differs]) => ({ name, spec: spec(differs) })),
  idempotent: false,
  dryRun: false,
});

export function submitGroup(pool: Pool, id: string, tasks: readonly Named[], change: Partial<GroupSpec> = {}) {
  const options = { principal: pool.operator, now: pool.now };
  const answer = pool.run.execute('submitGroup', groupRequest(id, tasks, change), options);
  pool.pass(0);
  return answer;
}

export const groupOf = (pool: Pool, id: string) => {
  const { group } = pool.run.query('getGroup', { id, minRevision: '0', linearizable: false });
  if (!group) throw new Error('the answer has no group');
  return group;
};

/** The states of a group's tasks by name, e.g. `a:running b:blocked`. */
export const states = (pool: Pool, group: string): string =>
  [...pool.run.state.tasks.values()]
    .filter(({ spec: { ties: tied } }) => tied?.group === group)
    .map(({ id, state }) => `${id.slice(group.length + 1)}:${state.slice('TASK_STATE_'.length).toLowerCase()}`)
    .join(' ');

/** A task ends, and what follows from it. */
export function end(pool: Pool, id: string, how: 'SUCCEEDED' | 'TERMINAL' | 'FAILED' = 'SUCCEEDED', result?: unknown) {
  pool.report(id, `OUTCOME_${how}`, result);
  pool.pass(0);
}
