import type { Machine } from '../../../libs/protocol/machine.ts';
import { HOST_LABEL } from '../../../libs/protocol/volumes.ts';
import { adaptGroup } from './adapt-group.ts';
import { oweAssignment, settleAssignment, settleAttempt } from './delivery.ts';
import { isHeld } from './held.ts';
import { learn } from './measure.ts';
import { type AttemptRow, currentAttempt, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape, PoolState } from './state.ts';
import { putArtefacts, putTask } from './store.ts';
import { next } from './task-states.ts';
import { attemptWith, taskWith, wholeAttempt } from './whole-rows.ts';

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
      const attempt = wholeAttempt({
        number: data.attempt,
        agent: data.agent,
        instance: data.instance,
        lease: data.lease,
        assignedAt: at.time,
        startedAt: 0,
        endedAt: 0,
        outcome: 'OUTCOME_UNSPECIFIED',
        reason: '',
      });
      const attempts = [...task.attempts, attempt];
      const { choice } = data;
      putTask(state, taskWith(task, { choice, state: to, attempts, revision: at.revision }), settings);
      oweAssignment(state, data);
    },
    key: ({ agent, instance }) => `${agent.replace('/', '.')}.${instance}`,
  },

  'task.started': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'start');
      const attempt = task && currentAttempt(task);
      if (!to || !attempt) return;
      const startedAt = Math.max(attempt.assignedAt, at.time - (data.ranMs ?? 0));
      const attempts = withLast(task, { startedAt, logKey: data.logKey || undefined });
      const host = hostOf(state, task);
      putTask(state, taskWith(task, { host, state: to, attempts, revision: at.revision }), settings);
      settleAssignment(state, data.task, data.attempt);
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
      const { outcome, reason, offeredTo } = data;
      const claimMs = data.claimMs || undefined;
      const attempts = withLast(task, { endedAt: at.time, outcome, reason, claimMs });
      const notBefore = data.delayMs > 0 ? at.time + data.delayMs : task.notBefore;
      const offered = offeredTo ? { at: at.time, attempt: attempts.length + 1, to: offeredTo } : task.offered;
      const { revision } = at;
      const change = { readySince: undefined, notBefore, offered, state: to, attempts, revision };
      putTask(state, taskWith(task, change), settings);
      putArtefacts(state, task.id, []);
      settleAttempt(state, task, attempt, data.stopAgent);
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'task.ready': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'ready');
      if (!to) return;
      const { revision } = at;
      const change = { notBefore: undefined, state: to, readySince: at.time, revision };
      putTask(state, taskWith(task, change), settings);
    },
    key: (data, state) => taskKey(state, data.task),
  },
});

/** Where the volumes of a task that starts are from now on. */
const hostOf = (state: PoolState, { spec, host, attempts }: TaskRow): string | undefined =>
  host ?? (spec.volumes && state.agents.get(attempts.at(-1)?.agent ?? '')?.labels[HOST_LABEL]);

/** The attempts with the last one changed. */
export function withLast({ attempts }: TaskRow, change: Partial<AttemptRow>): readonly AttemptRow[] {
  const last = attempts.at(-1);
  return last ? [...attempts.slice(0, -1), attemptWith(last, change)] : attempts;
}

/** `<swarm>.<task>` */
export const taskKey = (state: PoolShape['state'], id: string): string =>
  `${state.tasks.get(id)?.spec.swarm ?? 'unknown'}.${id}`;
