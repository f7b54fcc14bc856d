import type { EndedOnes } from './ended.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolState } from './state.ts';

/**
 * What has ended leaves the state: the oldest once there are too many, and all after a time. They leave in batches, so
 * that a busy pool does not write one more event for each task.
 */
export function retentionDue(state: PoolState, settings: PoolSettings): number | undefined {
  const tasks = endedDue(state.endedTasks, settings.keepTasks, settings);
  const leases = endedDue(state.endedLeases, settings.keepLeases, settings);
  const migrations = endedDue(state.endedMigrations, settings.keepMigrations, settings);
  const groups = endedDue(state.endedGroups, settings.keepGroups, settings);
  const first = Math.min(tasks ?? Infinity, leases ?? Infinity, migrations ?? Infinity, groups ?? Infinity);
  return first === Infinity ? undefined : first;
}

function endedDue(ended: EndedOnes, keep: number, settings: PoolSettings): number | undefined {
  const { oldest } = ended;
  if (!oldest) return undefined;
  return ended.size >= keep + settings.retentionBatch ? oldest.endedAt : oldest.endedAt + settings.keepMs;
}

export function forgettable(state: PoolState, now: number, settings: PoolSettings): PoolEvent[] {
  const events: PoolEvent[] = [];
  const tasks = oldest(state.endedTasks, settings.keepTasks, now, settings);
  if (tasks.length > 0) events.push({ type: 'task.forgotten', data: { tasks } });
  const leases = oldest(state.endedLeases, settings.keepLeases, now, settings);
  if (leases.length > 0) events.push({ type: 'lease.forgotten', data: { leases } });
  const migrations = oldest(state.endedMigrations, settings.keepMigrations, now, settings);
  if (migrations.length > 0) events.push({ type: 'migration.forgotten', data: { migrations } });
  const groups = oldest(state.endedGroups, settings.keepGroups, now, settings);
  if (groups.length > 0) events.push({ type: 'group.forgotten', data: { groups } });
  return events;
}

function oldest(ended: EndedOnes, keep: number, now: number, settings: PoolSettings): string[] {
  const due = endedDue(ended, keep, settings);
  if (due === undefined || due > now) return [];
  const isFull = ended.size >= keep + settings.retentionBatch;
  const ids: string[] = [];
  for (const { id, endedAt } of ended.inOrder()) {
    if (ids.length === settings.retentionBatch) break;
    if (!isFull && endedAt + settings.keepMs > now) break;
    ids.push(id);
  }
  return ids;
}
