import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { Room } from '../../../libs/protocol/answer-size.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { TaskAssigned } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { Assignment } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireAgent, requireService } from './access.ts';
import { drainView, moveOf } from './agent-rows.ts';
import { type AttemptRow, agentKey, currentAttempt, type DeliveryRow, type TaskRow } from './rows.ts';
import type { PoolShape, PoolState } from './state.ts';
import { deleteDelivery, putDelivery } from './store.ts';

/**
 * What agents are owed: the news of an assignment until it is confirmed, and word to stop an attempt until the agent
 * has received it. The rows are the machine's effects: the leader sends them, at least once, until they are gone.
 */

type Kind = DeliveryRow['kind'];
type Holder = Pick<AttemptRow, 'agent' | 'instance'>;

/** stop: the same as cancel, for an attempt that has ended already. */
const deliveryId = (task: string, attempt: number, kind: Kind | 'stop'): string => `${task}.${attempt}.${kind}`;

function owe(state: PoolState, id: string, kind: Kind, task: string, attempt: number, holder: Holder): void {
  putDelivery(state, { id, kind, notBefore: 0, task, attempt, agent: holder.agent, instance: holder.instance });
}

export const oweAssignment = (state: PoolState, data: TaskAssigned): void =>
  owe(state, deliveryId(data.task, data.attempt, 'assign'), 'assign', data.task, data.attempt, data);

export const oweCancel = (state: PoolState, task: string, attempt: AttemptRow): void =>
  owe(state, deliveryId(task, attempt.number, 'cancel'), 'cancel', task, attempt.number, attempt);

/** An attempt has begun, so the news of it was received. */
export const settleAssignment = (state: PoolState, task: string, attempt: number): void =>
  deleteDelivery(state, deliveryId(task, attempt, 'assign'));

/** An attempt has ended, and nothing of it is owed any more, but word to stop when the pool has ended it. Asked with the rows as they were. */
export function settleAttempt(state: PoolState, task: TaskRow, attempt: AttemptRow, stopAgent: boolean): void {
  const { id, cancelRequestedAt } = task;
  const { number } = attempt;
  if (attempt.startedAt === 0) settleAssignment(state, id, number);
  if (cancelRequestedAt > 0) deleteDelivery(state, deliveryId(id, number, 'cancel'));
  if (stopAgent) owe(state, deliveryId(id, number, 'stop'), 'cancel', id, number, attempt);
}

/**
 * May the agent begin before it has confirmed? Not where the answer has something to say: that it is not to run, from where
 * it goes on, for how long it has the claim. Nor when it is tried again: an attempt that ends its agent at once is not
 * counted, since nobody has confirmed it, and shall not end one agent after the other.
 */
const mayBegin = ({ spec, budget }: TaskRow, { number }: AttemptRow): boolean =>
  number === 1 && budget === undefined && !spec.continuity && !spec.volumes && !spec.ties?.after?.length;

/** The message for an agent's instance. */
function assignmentOf(task: TaskRow, attempt: AttemptRow, cancel: boolean, epoch: number): Assignment {
  return {
    task: task.id,
    attempt: attempt.number,
    agent: attempt.agent,
    instance: attempt.instance,
    spec: task.spec,
    cancel,
    epoch: String(epoch),
    traceparent: task.traceparent,
    correlationId: task.correlationId,
    hops: task.hops,
    atOnce: !cancel && mayBegin(task, attempt),
    assignedMs: String(attempt.assignedAt),
  };
}

export const deliveryCommands: Pick<Machine<PoolShape>['commands'], 'listAssignments' | 'settleDelivery'> = {
  listAssignments(state, input, ctx) {
    const agent = state.agents.get(agentKey(input.swarm, input.agent));
    if (!agent) throw notFound('agent', agentKey(input.swarm, input.agent), 'register it first');
    requireAgent(ctx, agent, 'list assignments');
    if (agent.instance !== input.instance) throw replaced(agent.key, agent.instance, input.instance);
    return {
      events: [],
      reply: () => ({
        assignments: assignmentsOf(state, agent.key, ctx.epoch),
        revision: String(ctx.revision),
        move: moveOf(state, agent),
        drain: agent.lameDuck && drainView(agent.lameDuck),
        deliveryKey: ctx.soft.deliveryKey,
      }),
    };
  },

  settleDelivery(state, { effect }, ctx) {
    requireService(ctx, 'settle a delivery');
    const isOwed = state.deliveries.has(effect);
    return { events: isOwed ? [{ type: 'delivery.settled', data: { effect } }] : [], reply: () => null };
  },
};

export const deliveryEvents: Pick<Machine<PoolShape>['events'], 'delivery.settled'> = {
  'delivery.settled': {
    apply: (state, data) => deleteDelivery(state, data.effect),
    key: () => '',
  },
};

/** The message for an effect, from a leader of `epoch`. Undefined when nothing is owed any more. */
export function deliveryMessage(state: PoolState, effect: string, epoch: number): Assignment | undefined {
  const row = state.deliveries.get(effect);
  const task = row && state.tasks.get(row.task);
  const attempt = task?.attempts[row ? row.attempt - 1 : 0];
  return row && task && attempt ? assignmentOf(task, attempt, row.kind === 'cancel', epoch) : undefined;
}

/**
 * All that an agent has, as far as one answer has room: beyond, what it runs is named without the spec, which it knows,
 * and what it has not confirmed is left out, because it is sent to it anyway.
 */
function assignmentsOf(state: PoolState, agent: string, epoch: number): Assignment[] {
  const found: Assignment[] = [];
  const room = new Room();
  for (const id of state.workers.tasksOf(agent)) {
    const task = state.tasks.get(id);
    const attempt = task && currentAttempt(task);
    if (!attempt) continue;
    const assignment = assignmentOf(task, attempt, task.cancelRequestedAt > 0, epoch);
    if (room.takes(assignment)) found.push(assignment);
    else if (task.state === 'TASK_STATE_RUNNING') found.push({ ...assignment, spec: undefined });
  }
  return found;
}

export const replaced = (agent: string, current: string, given: string): HiveError =>
  new HiveError(
    'ABORTED',
    `instance ${quote(given)} of agent ${quote(agent)} is not the current one, which is ${quote(current)}`,
    { retryable: false, reason: 'STALE_INSTANCE' },
  );
