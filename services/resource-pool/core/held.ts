import type { TaskRow } from './rows.ts';
import type { PoolState } from './state.ts';

/** Does its group hold a task back, because it is paused or about to end? */
export function isHeld(state: PoolState, { spec }: TaskRow): boolean {
  if (!spec.ties?.group) return false;
  const group = state.groups.get(spec.ties.group);
  return group !== undefined && group.state !== 'GROUP_STATE_RUNNING';
}
