import { HiveError, quote } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import { findAttempt, stale } from './attempt-commands.ts';
import { taskKey } from './attempt-events.ts';
import { currentAttempt, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape } from './state.ts';
import { putCheckpoint } from './store.ts';
import { checkpointView } from './view.ts';

/**
 * How far attempts have come. A task keeps the last checkpoint only, from whichever attempt, until it ends. It is fenced
 * like a report: what an attempt says that is not the current one would set back the one that is.
 */

type Commands = Pick<Machine<PoolShape>['commands'], 'saveCheckpoint'>;

const UTF8 = new TextEncoder();

export const checkpointCommands = (settings: PoolSettings): Commands => ({
  saveCheckpoint(state, input, ctx) {
    const { task, attempt } = findAttempt(state, input, ctx, 'store a checkpoint');
    if (currentAttempt(task) !== attempt || task.state !== 'TASK_STATE_RUNNING') throw stale(task, input);
    if (!task.spec.continuity?.resume) throw noResume(task);
    const { data } = input;
    const before = state.checkpoints.get(task.id);
    const bytes = UTF8.encode(JSON.stringify(data)).length;
    if (state.checkpointBytes.value - (before?.bytes ?? 0) + bytes > settings.maxCheckpointBytes) throw full(settings);
    const number = (before?.number ?? 0) + 1;
    return {
      events: [{ type: 'task.checkpointed', data: { task: task.id, attempt: attempt.number, number, data, bytes } }],
      reply: () => ({ number, revision: String(ctx.revision) }),
    };
  },
});

export const checkpointEvents: Pick<Machine<PoolShape>['events'], 'task.checkpointed'> = {
  'task.checkpointed': {
    apply(state, { task, attempt, number, data, bytes }, at) {
      if (state.tasks.has(task)) putCheckpoint(state, { task, attempt, number, data, bytes, savedAt: at.time });
    },
    key: (data, state) => taskKey(state, data.task),
  },
};

export const checkpointQueries: Pick<Machine<PoolShape>['queries'], 'getCheckpoint'> = {
  getCheckpoint(state, { task }, view) {
    const row = state.checkpoints.get(task);
    return { checkpoint: row && { ...checkpointView(row), data: row.data }, revision: String(view.revision) };
  },
};

const noResume = ({ id }: TaskRow): HiveError =>
  new HiveError(
    'FAILED_PRECONDITION',
    `task ${quote(id)} keeps no checkpoints, since its spec.continuity.resume is not true; submit it with that`,
    { reason: 'NO_RESUME' },
  );

const full = ({ maxCheckpointBytes }: PoolSettings): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `the checkpoints of all tasks would have more than ${maxCheckpointBytes} bytes, which is the limit; store it later, or less`,
    { retryable: true, retryAfterMs: 5000, reason: 'CHECKPOINTS_FULL' },
  );
