import { invalid, quote, type Violation } from '../../../libs/kernel/errors.ts';
import { nearest } from '../../../libs/kernel/nearest.ts';
import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { TaskRow } from './rows.ts';
import type { PoolEvent, PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';

/** What holds a task back that depends on others or needs a yes, and what follows from their ends. */

export type Standing =
  /** Nothing holds it back. */
  | { readonly is: 'free' }
  | { readonly is: 'waiting'; readonly tasks: readonly TaskRow[]; readonly needsYes: boolean }
  /** It will never be given out. */
  | { readonly is: 'doomed'; readonly state: 'TASK_STATE_CANCELLED' | 'TASK_STATE_FAILED'; readonly reason: string };

const FREE: Standing = { is: 'free' };

/** Whether a task's own ties let it be given out; what its group says comes on top. */
export function standingOf(state: PoolState, { spec, verdict }: TaskRow): Standing {
  const { ties } = spec;
  const tasks: TaskRow[] = [];
  for (const { task: id, onFailure } of ties?.after ?? []) {
    const task = state.tasks.get(id);
    if (!task) continue;
    if (!hasEnded(task.state)) tasks.push(task);
    else if (task.state !== 'TASK_STATE_SUCCEEDED' && onFailure !== 'FAILURE_POLICY_CONTINUE') {
      const how = task.state === 'TASK_STATE_FAILED' ? 'failed' : 'was cancelled';
      const to = onFailure === 'FAILURE_POLICY_FAIL' ? 'TASK_STATE_FAILED' : 'TASK_STATE_CANCELLED';
      return { is: 'doomed', state: to, reason: `it depends on task ${id}, which ${how}` };
    }
  }
  const needsYes = ties?.approval !== undefined && !verdict;
  return tasks.length === 0 && !needsYes ? FREE : { is: 'waiting', tasks, needsYes };
}

/**
 * Tasks that end with `task` when it does not succeed: those that wait for it, and for these in turn, the nearest first.
 * Those that go on whatever becomes of it are not among them. One walk over all of them.
 */
export function dependantsThatEnd(state: PoolState, task: string): string[] {
  const found = new Set([task]);
  for (const before of found) {
    for (const id of state.ties.dependantsOf(before) ?? []) {
      const row = state.tasks.get(id);
      if (!row || hasEnded(row.state)) continue;
      const goesOn = row.spec.ties?.after.every(
        (each) => each.task !== before || each.onFailure === 'FAILURE_POLICY_CONTINUE',
      );
      if (!goesOn) found.add(id);
    }
  }
  found.delete(task);
  return [...found];
}

/** Ends a task that is given out no more. */
export const endUntried = (
  task: string,
  state: 'TASK_STATE_CANCELLED' | 'TASK_STATE_FAILED',
  reason: string,
): PoolEvent => ({
  type: 'task.ended',
  data: {
    task,
    state,
    attempt: 0,
    outcome: 'OUTCOME_UNSPECIFIED',
    reason,
    stopAgent: false,
    dead: state === 'TASK_STATE_FAILED',
  },
});

/** What follows for a blocked task without a group from how its ties are now: nothing, one event at most. */
export function blockedMoves(state: PoolState, task: TaskRow): PoolEvent[] {
  if (task.state !== 'TASK_STATE_BLOCKED' || task.spec.ties?.group) return [];
  const standing = standingOf(state, task);
  if (standing.is === 'free') return [{ type: 'task.released', data: { task: task.id } }];
  return standing.is === 'doomed' ? [endUntried(task.id, standing.state, standing.reason)] : [];
}

/** A task that is about to be submitted. */
export interface Draft {
  readonly id: string;
  readonly spec: TaskSpec;
  /** The path of its spec in the request, with a dot after it. */
  readonly at: string;
}

/**
 * Refuses dependencies on tasks that are neither drafts nor known, and circles, which only drafts can make: what is there
 * already depends on nothing that comes later. INVALID_ARGUMENT with every fault.
 */
export function requireDependencies(state: PoolState, drafts: readonly Draft[], nameOf: (id: string) => string): void {
  const faults: Violation[] = [];
  const ids = new Set(drafts.map(({ id }) => id));
  for (const { spec, at } of drafts) {
    for (const [i, { task }] of (spec.ties?.after ?? []).entries()) {
      if (ids.has(task) || state.tasks.has(task)) continue;
      const known = [...[...ids].map(nameOf), ...newest(state, spec.swarm)];
      const close = nearest(nameOf(task), known);
      const meant = close ? `; did you mean ${close}?` : '';
      const rule = `must be a task of this request or one that the pool knows${meant}`;
      faults.push({ field: `${at}ties.after[${i}].task`, value: quote(nameOf(task)), rule });
    }
  }
  const circle = circleIn(drafts);
  if (circle) {
    const first = drafts.find(({ id }) => id === circle[0]);
    const back = first?.spec.ties?.after.findIndex(({ task }) => task === circle[1]) ?? 0;
    const rule = `must not lead back to the task itself: ${circle.map(nameOf).join(' -> ')}`;
    faults.push({ field: `${first?.at}ties.after[${back}].task`, value: quote(nameOf(circle[1] ?? '')), rule });
  }
  if (faults.length > 0) throw invalid(faults);
}

/** How many tasks a name is compared with, to say what was meant. */
const MAX_COMPARED = 1000;

const newest = (state: PoolState, swarm: string): string[] =>
  [...state.tasks.values()].flatMap((task) => (task.spec.swarm === swarm ? [task.id] : [])).slice(-MAX_COMPARED);

/** The first circle that the drafts' dependencies make, from a task back to itself; undefined when they make none. */
export function circleIn(drafts: readonly Pick<Draft, 'id' | 'spec'>[]): string[] | undefined {
  const after = new Map(drafts.map(({ id, spec }) => [id, (spec.ties?.after ?? []).map(({ task }) => task)]));
  const done = new Set<string>();
  for (const { id } of drafts) {
    const path: string[] = [];
    const rest: string[][] = [[id]];
    while (rest.length > 0) {
      const next = rest.at(-1)?.shift();
      if (next === undefined) {
        rest.pop();
        const left = path.pop();
        if (left !== undefined) done.add(left);
        continue;
      }
      const from = path.indexOf(next);
      if (from >= 0) return [...path.slice(from), next];
      if (done.has(next)) continue;
      path.push(next);
      rest.push([...(after.get(next) ?? [])]);
    }
  }
  return undefined;
}
