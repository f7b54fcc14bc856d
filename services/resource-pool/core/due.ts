import { claimOver } from './claim.ts';
import { type AgentRow, type LeaseRow, type MigrationRow, queuedSince, type RequestRow, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import { hasEnded } from './task-states.ts';

/**
 * When time alone changes a row: machine time in ms; undefined = never. Terms run from what began them or from the
 * leader's epoch, whichever is later: what happened while nobody led is nobody's fault.
 */

export function taskDue(task: TaskRow, epochStart: number, settings: PoolSettings): number | undefined {
  if (hasEnded(task.state)) return undefined;
  const due = stateDue(task, epochStart, settings);
  const total = totalDue(task, epochStart);
  return due === undefined || total === undefined ? (due ?? total) : Math.min(due, total);
}

/** When the time of the state that it is in is over. */
function stateDue(task: TaskRow, epochStart: number, settings: PoolSettings): number | undefined {
  const attempt = task.attempts.at(-1);
  let due: number;
  if (task.state === 'TASK_STATE_ASSIGNED' && attempt) {
    due = Math.max(attempt.assignedAt, epochStart) + settings.confirmMs;
  } else if (task.state === 'TASK_STATE_RUNNING' && attempt) {
    due = Math.max(attempt.startedAt, epochStart) + task.spec.timeoutMs + settings.timeoutGraceMs;
  } else {
    return queueDue(task, epochStart);
  }
  return task.cancelRequestedAt === 0 ? due : Math.min(due, cancelDue(task, epochStart, settings));
}

/** When a waiting task may be given out, or has waited for an agent too long. */
function queueDue(task: TaskRow, epochStart: number): number | undefined {
  if (task.state === 'TASK_STATE_BLOCKED') return undefined;
  if (task.notBefore !== undefined) return Math.max(task.notBefore, claimOver(task, epochStart));
  const limitMs = task.spec.limits?.queuedMs ?? 0;
  return limitMs === 0 ? undefined : Math.max(queuedSince(task), epochStart) + limitMs;
}

/** When a task has taken too long in all. */
export function totalDue(task: TaskRow, epochStart: number): number | undefined {
  const limitMs = task.spec.limits?.totalMs ?? 0;
  return limitMs === 0 ? undefined : Math.max(task.submittedAt, epochStart) + limitMs;
}

/** When a cancelled task that runs is ended without its agent. */
export const cancelDue = (task: TaskRow, epochStart: number, settings: PoolSettings): number =>
  Math.max(task.cancelRequestedAt, epochStart) + settings.cancelGraceMs;

/** When an active lease is over, or when what runs for the borrower of one that drains moves. */
export function leaseDue(lease: LeaseRow, epochStart: number): number | undefined {
  if (lease.state === 'LEASE_STATE_ACTIVE') return Math.max(lease.since, epochStart) + lease.termMs;
  if (lease.state !== 'LEASE_STATE_DRAINING' || !lease.notice) return undefined;
  return Math.max(lease.notice.since, epochStart) + lease.notice.ms;
}

/** When a migration that nobody goes on with is cancelled. */
export function migrationDue(row: MigrationRow, epochStart: number, settings: PoolSettings): number | undefined {
  const since = Math.max(row.since, epochStart);
  if (row.state === 'MIGRATION_STATE_PROPOSED') return since + settings.proposalMs;
  return row.state === 'MIGRATION_STATE_TRANSFERRING' ? since + settings.transferMs : undefined;
}

/** When a waiting request is refused. */
export const requestDue = (request: RequestRow, epochStart: number): number =>
  Math.max(request.queuedAt, epochStart) + request.wish.waitMs;

/** When an agent that is gone leaves the pool, or one that is taken out of service gives back what it still runs. */
export function agentDue(agent: AgentRow, epochStart: number, settings: PoolSettings): number | undefined {
  if (agent.state === 'AGENT_STATE_UNREACHABLE') {
    return Math.max(agent.stateSince, epochStart) + settings.removeUnreachableMs;
  }
  const { lameDuck } = agent;
  return lameDuck && !lameDuck.isDrained ? Math.max(lameDuck.since, epochStart) + lameDuck.graceMs : undefined;
}
