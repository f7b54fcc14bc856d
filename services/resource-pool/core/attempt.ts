import { formatDuration } from '../../../libs/kernel/durations.ts';
import type { Outcome, TaskState } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { retryDelay } from './backoff.ts';
import { claimLeft } from './claim.ts';
import type { Plan } from './dispatch.ts';
import { totalDue } from './due.ts';
import { type AttemptRow, currentAttempt, isDelayed, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolState } from './state.ts';

/** How a current attempt ends. */
export interface Ending {
  readonly outcome: Outcome;
  /** Why, for people; may be empty for a success. */
  readonly reason: string;
  readonly result?: unknown;
  /** Its agent says so itself: nothing of it runs any more. */
  readonly reported?: boolean;
  /** Its agent has begun it, and says so only now. */
  readonly begun?: boolean;
  /** The pool ends it, so the agent must still be told. */
  readonly stopAgent?: boolean;
  /** No other attempt follows, although there may be some left. */
  readonly final?: boolean;
}

/** Ends a task's current attempt, and with it the task, or queues the task again. Plans the slot's next use. */
export function endAttempt(task: TaskRow, ending: Ending, plan: Plan, settings: PoolSettings): PoolEvent {
  const { outcome, reason, result, stopAgent = false } = ending;
  const attempt = task.attempts.length;
  plan.vacate(task);
  const verdict = judge(task, ending, settings);
  if (!verdict) {
    const claimMs = claimLeft(task, ending, settings);
    const delayMs = Math.max(retryDelay(task, outcome), claimMs);
    const offeredTo = destinationOf(task, plan);
    plan.again(task, delayMs, offeredTo);
    const data = { task: task.id, attempt, outcome, reason, stopAgent, delayMs, claimMs };
    return { type: 'task.attempt-ended', data: offeredTo === undefined ? data : { ...data, offeredTo } };
  }
  const data = {
    task: task.id,
    state: verdict.state,
    attempt,
    outcome,
    reason: verdict.reason,
    stopAgent,
    dead: verdict.state === 'TASK_STATE_FAILED',
    result,
  };
  return { type: 'task.ended', data };
}

/**
 * The swarm that a task's agent moves to, whose idle agents may go on with it; undefined = it does not move, or the task
 * is that swarm's. Votes go to agents that have none of their group, which whoever lends does not know.
 */
function destinationOf(task: TaskRow, plan: Plan): string | undefined {
  const attempt = task.spec.ties?.vote ? undefined : currentAttempt(task);
  const to = attempt && plan.spot(attempt.agent)?.row.lameDuck?.to;
  return to === task.spec.swarm ? undefined : to;
}

/** What an attempt's outcome means for its task; undefined = it is tried again. */
function judge(
  task: TaskRow,
  { outcome, reason, final, begun = false }: Ending,
  settings: PoolSettings,
): { state: TaskState; reason: string } | undefined {
  if (outcome === 'OUTCOME_SUCCEEDED') return { state: 'TASK_STATE_SUCCEEDED', reason };
  if (outcome === 'OUTCOME_TERMINAL') return { state: 'TASK_STATE_FAILED', reason: reason || 'failed for good' };
  if (outcome === 'OUTCOME_CANCELLED' || task.cancelRequestedAt > 0) {
    return { state: 'TASK_STATE_CANCELLED', reason: task.reason || reason };
  }
  if (final) return { state: 'TASK_STATE_FAILED', reason };
  const moved = task.attempts.filter((attempt) => outcomeOf(attempt, outcome) === 'OUTCOME_MOVED').length;
  if (moved >= settings.maxMoves)
    return { state: 'TASK_STATE_FAILED', reason: `moved ${moved} times; last: ${reason}` };
  const isBegun = (attempt: AttemptRow) =>
    begun && attempt.number === task.attempts.length && outcome !== 'OUTCOME_MOVED';
  const used = task.attempts.filter((attempt) => isBegun(attempt) || wasUsed(attempt, outcome)).length;
  if (used >= task.spec.maxAttempts) {
    return { state: 'TASK_STATE_FAILED', reason: `attempt ${used} of ${task.spec.maxAttempts}: ${reason}` };
  }
  const unconfirmed = task.attempts.length - used - moved;
  if (unconfirmed < settings.maxUnconfirmed) return undefined;
  return { state: 'TASK_STATE_FAILED', reason: `assigned ${unconfirmed} times and never confirmed; last: ${reason}` };
}

const outcomeOf = (attempt: AttemptRow, endsAs: Outcome): Outcome =>
  attempt.outcome === 'OUTCOME_UNSPECIFIED' ? endsAs : attempt.outcome;

/** Does it count against max_attempts? Not when it had to move, nor when it was lost before anybody had confirmed it. */
export function wasUsed(attempt: AttemptRow, endsAs: Outcome = attempt.outcome): boolean {
  const outcome = outcomeOf(attempt, endsAs);
  return outcome !== 'OUTCOME_MOVED' && (attempt.startedAt > 0 || outcome !== 'OUTCOME_LOST');
}

/** Every attempt that an agent has now is lost, or given back. */
export function loseAttempts(
  state: PoolState,
  agent: string,
  reason: string,
  plan: Plan,
  settings: PoolSettings,
  outcome: Outcome = 'OUTCOME_LOST',
): PoolEvent[] {
  const events: PoolEvent[] = [];
  for (const id of state.workers.tasksOf(agent)) {
    const task = state.tasks.get(id);
    if (task) events.push(endAttempt(task, { outcome, reason }, plan, settings));
  }
  return events;
}

/** What time has brought about for a task; see `taskDue`. */
export function overdue(
  task: TaskRow,
  cancelled: boolean,
  now: number,
  epochStart: number,
  settings: PoolSettings,
): Ending {
  if (cancelled) {
    const reason = `cancelled; the agent did not say so within ${formatDuration(settings.cancelGraceMs)}`;
    return { outcome: 'OUTCOME_CANCELLED', reason, stopAgent: true };
  }
  if ((totalDue(task, epochStart) ?? Infinity) <= now) {
    return { outcome: 'OUTCOME_TIMED_OUT', reason: overTotal(task), stopAgent: true, final: true };
  }
  if (task.state === 'TASK_STATE_ASSIGNED') {
    return { outcome: 'OUTCOME_LOST', reason: `not confirmed within ${formatDuration(settings.confirmMs)}` };
  }
  const limit = formatDuration(task.spec.timeoutMs);
  const ran = formatDuration(now - (task.attempts.at(-1)?.startedAt ?? now));
  const reason = `over its time limit of ${limit}: its agent had not reported it after ${ran}`;
  return { outcome: 'OUTCOME_TIMED_OUT', reason, stopAgent: true };
}

const overTotal = ({ spec }: TaskRow): string =>
  `over its time limit of ${formatDuration(spec.limits?.totalMs ?? 0)} from its submission to its end`;

/** What time has brought about for a task that waits: its wait is over, or it has waited too long. */
export function overdueInQueue(task: TaskRow, now: number, epochStart: number, plan: Plan): PoolEvent {
  const isOver = (totalDue(task, epochStart) ?? Infinity) <= now;
  if (isDelayed(task) && !isOver) {
    plan.queue(task);
    return { type: 'task.ready', data: { task: task.id } };
  }
  plan.unqueue(task.id);
  const waited = `waited longer than ${formatDuration(task.spec.limits?.queuedMs ?? 0)} for an agent`;
  const how = { attempt: 0, outcome: 'OUTCOME_UNSPECIFIED', stopAgent: false, dead: true } as const;
  const data = {
    task: task.id,
    state: 'TASK_STATE_FAILED',
    reason: isOver ? overTotal(task) : waited,
    ...how,
  } as const;
  return { type: 'task.ended', data };
}
