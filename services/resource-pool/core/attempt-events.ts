import type { Machine } from '../../../libs/protocol/machine.ts';
import { HOST_LABEL } from '../../../libs/protocol/volumes.ts';
import { adaptGroup } from './adapt-group.ts';
import { oweAssignment, settleAttempt } from './delivery.ts';
import { isHeld } from './held.ts';
import { learn } from './measure.ts';
import { type AttemptRow, currentAttempt, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape, PoolState } from './state.ts';
import { putArtefacts, putTask } from './store.ts';
import { next } from './task-states.ts';

type Events = Pick<
  Machine<PoolShape>['events'],
  'task.assigned' | 'task.started' | 'task.attempt-ended' | 'task.ready'
>;

export const attemptEvents = (settings: PoolSettings): Events => ({
  'task.assigned': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'assign');
      if (!to) return;
      const attempt: AttemptRow = {
        number: data.attempt,
        agent: data.agent,
        instance: data.instance,
        lease: data.lease,
        assignedAt: at.time,
        startedAt: 0,
        endedAt: 0,
        outcome: 'OUTCOME_UNSPECIFIED',
        reason: '',
      };
      const { choice: _, ...rest } = task;
      const choice = data.choice ? { choice: data.choice } : {};
      const attempts = [...task.attempts, attempt];
      putTask(state, { ...rest, ...choice, state: to, attempts, revision: at.revision }, settings);
      oweAssignment(state, data);
    },
    key: ({ agent, instance }) => `${agent.replace('/', '.')}.${instance}`,
  },

  'task.started': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'start');
      if (!to) return;
      const { logKey } = data;
      const attempts = withLast(task, { startedAt: at.time, ...(logKey ? { logKey } : {}) });
      putTask(state, { ...task, ...hostOf(state, task), state: to, attempts, revision: at.revision }, settings);
      settleAttempt(state, data.task, data.attempt, 'assign');
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'task.attempt-ended': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, isHeld(state, task) ? 'hold' : 'retry');
      const attempt = task && currentAttempt(task);
      if (!to || !attempt) return;
      learn(state, attempt, data.outcome, at.time);
      adaptGroup(state, task, attempt, data.outcome, at.time);
      const { outcome, reason, claimMs } = data;
      const ended = { endedAt: at.time, outcome, reason, ...(claimMs > 0 ? { claimMs } : {}) };
      const attempts = withLast(task, ended);
      const { readySince: _, ...rest } = task;
      const delay = data.delayMs > 0 ? { notBefore: at.time + data.delayMs } : {};
      const offered = data.offeredTo
        ? { offered: { at: at.time, attempt: attempts.length + 1, to: data.offeredTo } }
        : {};
      putTask(state, { ...rest, ...delay, ...offered, state: to, attempts, revision: at.revision }, settings);
      putArtefacts(state, task.id, []);
      settleAttempt(state, task.id, attempt.number, data.stopAgent ? 'stop' : 'all', attempt);
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'task.ready': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'ready');
      if (!to) return;
      const { notBefore: _, ...rest } = task;
      putTask(state, { ...rest, state: to, readySince: at.time, revision: at.revision }, settings);
    },
    key: (data, state) => taskKey(state, data.task),
  },
});

/** Where the volumes of a task that starts are from now on. */
function hostOf(state: PoolState, { spec, host, attempts }: TaskRow): Pick<TaskRow, 'host'> {
  const label = spec.volumes && state.agents.get(attempts.at(-1)?.agent ?? '')?.labels[HOST_LABEL];
  return host !== undefined || label === undefined ? {} : { host: label };
}

/** The attempts with the last one changed. */
export const withLast = (task: TaskRow, change: Partial<AttemptRow>): readonly AttemptRow[] =>
  task.attempts.map((attempt, i) => (i === task.attempts.length - 1 ? { ...attempt, ...change } : attempt));

/** `<swarm>.<task>` */
export const taskKey = (state: PoolShape['state'], id: string): string =>
  `${state.tasks.get(id)?.spec.swarm ?? 'unknown'}.${id}`;
