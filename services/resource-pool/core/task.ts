import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import type { Ctx, Decision, Machine, Stamp } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { TaskSubmitted } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { SubmitTaskResponse, TaskOrigin, TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { keyOfSwarm, registrationOf, requireMember, requireRegistration, requireSwarm } from './access.ts';
import { adaptGroup } from './adapt-group.ts';
import { taskKey, withLast } from './attempt-events.ts';
import { type Lineage, lineageOf, newBudget, requireBudget, submissionCharge } from './budget.ts';
import { bury } from './burial.ts';
import { withDefaults } from './defaults.ts';
import { oweCancel, settleAttempt } from './delivery.ts';
import { dependantsThatEnd } from './dependency.ts';
import { Plan } from './dispatch.ts';
import { settled } from './lease.ts';
import { countSubmission, requireRoomToSubmit } from './limits.ts';
import { learn } from './measure.ts';
import { currentAttempt, orderOf, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolSoft, PoolState, Submission } from './state.ts';
import { deleteCheckpoint, deleteTask, putBudget, putTask } from './store.ts';
import { hasEnded, next, stepTo } from './task-states.ts';
import { tied } from './task-ties.ts';
import { taskView } from './view.ts';
import { taskWith, wholeTask } from './whole-rows.ts';

/** So many of the tasks that end with one are named. */
const MAX_NAMED = 20;

export const taskCommands = (
  settings: PoolSettings,
): Pick<Machine<PoolShape>['commands'], 'submitTask' | 'cancelTask'> => ({
  submitTask: (state, input, ctx) => submission(state, input, input.origin, ctx, settings),

  cancelTask(state, input, ctx) {
    const task = state.tasks.get(input.id);
    if (!task) throw notFound('task', input.id, 'it never was, or it ended long ago and is no longer kept');
    requireSwarm(ctx, [task.spec.swarm], 'cancel a task');
    requireRegistration(ctx, task.spec.swarm, task, `cancel task ${quote(task.id)}`);
    const reply = (ends: readonly string[]) => () => ({
      ...{ task: viewOf(state, task.id), revision: String(ctx.revision) },
      ...{ endsToo: ends.slice(0, MAX_NAMED), endsTooTotal: ends.length },
    });
    if (task.state === 'TASK_STATE_CANCELLED') return { events: [], reply: reply([]) };
    if (hasEnded(task.state)) throw endedAlready(task);
    if (task.cancelRequestedAt > 0) return { events: [], reply: reply([]) };
    const by = describePrincipal(ctx.principal);
    const reason = input.reason || `cancelled by ${by}`;
    return { events: [cancellation(task, by, reason)], reply: reply(dependantsThatEnd(state, task.id)) };
  },
});

/** Accepts a task. `origin`: what it is made from. */
export function submission(
  state: PoolState,
  input: Submission,
  origin: TaskOrigin | undefined,
  ctx: Ctx<PoolSoft>,
  settings: PoolSettings,
): Decision<PoolShape, SubmitTaskResponse> {
  const given = withDefaults(input.spec as TaskSpec);
  requireMember(ctx, given.swarm, 'submit a task');
  keyOfSwarm(ctx, given.swarm);
  const id = input.id || ctx.id('task');
  const revision = String(ctx.revision);
  const known = state.tasks.get(id);
  if (known) {
    if (!input.idempotent || !sameJson(known.spec, asKnown(given, known))) throw taken(id, input.idempotent);
    return { events: [], reply: () => ({ task: viewOf(state, id), revision, created: false, agent: '' }) };
  }
  requireRoom(state, 1, settings);
  requireRoomToSubmit(state, given.swarm, ctx.now);
  const spec = tied(state, id, given);
  const lineage = requireBudget(state, ctx, id, spec.budget, origin?.parent ?? '');
  const plan = new Plan(state);
  if (!spec.ties) plan.queue({ id, spec, submittedAt: ctx.now, order: Number.MAX_SAFE_INTEGER, attempts: [] });
  const { traceparent, correlationId, hops } = ctx.trace;
  const submittedBy = describePrincipal(ctx.principal);
  const registration = registrationOf(ctx, spec.swarm);
  const data = { task: id, spec, submittedBy, traceparent, correlationId, hops, registration, origin };
  const assignments = settled(state, plan);
  if (input.dryRun) {
    const task = taskView(newRow(data, lineage, { revision: 0, index: 0, time: ctx.now }), state);
    const agent = assignments.flatMap((event) => (event.type === 'task.assigned' ? [event.data.agent] : []))[0] ?? '';
    return { events: [], reply: () => ({ task, revision, created: true, agent }) };
  }
  return {
    events: [{ type: 'task.submitted', data }, ...submissionCharge(lineage, id), ...assignments],
    reply: () => ({ task: viewOf(state, id), revision, created: true, agent: '' }),
  };
}

/** Cancels a task that has not ended: one that waits ends at once, for one that runs the agent is told. */
export function cancellation(task: TaskRow, by: string, reason: string): PoolEvent {
  if (currentAttempt(task)) return { type: 'task.cancel-requested', data: { task: task.id, by, reason } };
  const data = {
    task: task.id,
    state: 'TASK_STATE_CANCELLED',
    attempt: 0,
    outcome: 'OUTCOME_UNSPECIFIED',
    reason,
    stopAgent: false,
    dead: false,
  } as const;
  return { type: 'task.ended', data };
}

export const taskEvents = (
  settings: PoolSettings,
): Pick<
  Machine<PoolShape>['events'],
  'task.submitted' | 'task.cancel-requested' | 'task.ended' | 'task.forgotten'
> => ({
  'task.submitted': {
    apply(state, data, at) {
      const row = newRow(data, lineageOf(state, data), at);
      putTask(state, row, settings);
      const budget = newBudget(state, row);
      if (budget) putBudget(state, budget);
      countSubmission(state, data.spec?.swarm ?? '', at.time);
    },
    key: (data) => `${data.spec?.swarm ?? 'unknown'}.${data.task}`,
  },

  'task.cancel-requested': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const attempt = task && currentAttempt(task);
      if (!attempt) return;
      const { time: cancelRequestedAt, revision } = at;
      putTask(state, taskWith(task, { reason: data.reason, cancelRequestedAt, revision }), settings);
      oweCancel(state, task.id, attempt);
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'task.ended': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const step = stepTo(data.state);
      const to = task && step && next(task.state, step);
      if (!to) return;
      const attempt = currentAttempt(task);
      const { outcome, reason } = data;
      if (attempt) {
        learn(state, attempt, outcome, at.time);
        adaptGroup(state, task, attempt, outcome, at.time);
      }
      const ended = taskWith(task, {
        state: to,
        attempts: attempt ? withLast(task, { endedAt: at.time, outcome, reason }) : task.attempts,
        result: data.result,
        reason,
        endedAt: at.time,
        revision: at.revision,
      });
      putTask(state, ended, settings);
      deleteCheckpoint(state, task.id);
      if (data.dead) bury(state, ended, at, settings);
      if (attempt) settleAttempt(state, task, attempt, data.stopAgent);
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'task.forgotten': {
    apply(state, data) {
      for (const id of data.tasks) deleteTask(state, id);
    },
    key: () => '',
  },
});

const newRow = (data: TaskSubmitted, { budget, depth }: Lineage, at: Stamp): TaskRow =>
  wholeTask({
    id: data.task,
    spec: data.spec as TaskSpec,
    state: data.spec?.ties ? 'TASK_STATE_BLOCKED' : 'TASK_STATE_QUEUED',
    attempts: [],
    reason: '',
    cancelRequestedAt: 0,
    submittedAt: at.time,
    endedAt: 0,
    submittedBy: data.submittedBy,
    traceparent: data.traceparent,
    correlationId: data.correlationId,
    hops: data.hops,
    origin: data.origin,
    budget,
    depth,
    registration: data.registration || undefined,
    order: orderOf(at),
    revision: at.revision,
  });

/** A submission as it would be kept: which phase one that names none belongs to was settled when it came. */
const asKnown = (given: TaskSpec, { spec }: TaskRow): TaskSpec =>
  given.ties?.phase === '' && spec.ties ? { ...given, ties: { ...given.ties, phase: spec.ties.phase } } : given;

const viewOf = (state: PoolState, id: string) => {
  const row = state.tasks.get(id);
  return row && taskView(row, state);
};

export const taken = (id: string, idempotent = false): HiveError =>
  new HiveError(
    'ALREADY_EXISTS',
    `task ${quote(id)} exists already${idempotent ? ' with another spec, and a task cannot be changed' : ''}; choose another id`,
    { reason: idempotent ? 'OTHER_SPEC' : 'ID_TAKEN' },
  );

/** Refuses more tasks than may wait. */
export function requireRoom(state: PoolState, tasks: number, { maxQueued }: PoolSettings): void {
  if (state.queue.size + state.ties.blocked + tasks > maxQueued) throw queueFull(maxQueued);
}

const queueFull = (limit: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${limit} tasks wait already, which is the limit; submit it again later`, {
    retryable: true,
    retryAfterMs: 1000,
    reason: 'QUEUE_FULL',
  });

const endedAlready = (task: TaskRow): HiveError =>
  new HiveError(
    'FAILED_PRECONDITION',
    `task ${quote(task.id)} ended at ${new Date(task.endedAt).toISOString()} as ${task.state}; it cannot be cancelled`,
    { reason: 'TASK_ENDED' },
  );
