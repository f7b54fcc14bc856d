import type { AgentRow, LeaseRow, RequestRow, TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';

/**
 * When time alone changes a row: machine time in ms; undefined = never. Terms run from what began them or from the
 * leader's epoch, whichever is later: what happened while nobody led is nobody's fault.
 */

export function taskDue(task: TaskRow, epochStart: number, settings: PoolSettings): number | undefined {
  const attempt = task.attempts.at(-1);
  let due: number;
  if (task.state === 'TASK_STATE_ASSIGNED' && attempt) {
    due = Math.max(attempt.assignedAt, epochStart) + settings.confirmMs;
  } else if (task.state === 'TASK_STATE_RUNNING' && attempt) {
    due = Math.max(attempt.startedAt, epochStart) + task.spec.timeoutMs + settings.timeoutGraceMs;
  } else {
    return undefined;
  }
  return task.cancelRequestedAt === 0 ? due : Math.min(due, cancelDue(task, epochStart, settings));
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

/** When a waiting request is refused. */
export const requestDue = (request: RequestRow, epochStart: number): number =>
  Math.max(request.queuedAt, epochStart) + request.wish.waitMs;

export const agentDue = (agent: AgentRow, epochStart: number, settings: PoolSettings): number | undefined =>
  agent.state === 'AGENT_STATE_UNREACHABLE'
    ? Math.max(agent.stateSince, epochStart) + settings.removeUnreachableMs
    : undefined;
