import type { Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { adapted } from './group-window.ts';
import type { AttemptRow, TaskRow } from './rows.ts';
import type { PoolState } from './state.ts';
import { putGroup } from './store.ts';

/** An attempt of a task ended: an adaptive group that it belongs to learns from it. Asked before the task's row changes. */
export function adaptGroup(state: PoolState, task: TaskRow, attempt: AttemptRow, outcome: Outcome, now: number): void {
  const group = task.spec.ties?.group ? state.groups.get(task.spec.ties.group) : undefined;
  if (!group?.window || group.endedAt > 0) return;
  const inHand = state.ties.members(group.id)?.inHand ?? 0;
  putGroup(state, { ...group, window: adapted(group, attempt, outcome, inHand, now) });
}
