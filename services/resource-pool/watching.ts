import type { Journal } from '../../libs/journal/journal.ts';
import { inParts } from '../../libs/protocol/answer-size.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { watchStart } from '../../libs/service/watch-start.ts';
import type { Task, WatchTasksRequest, WatchTasksResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolEvent, PoolShape } from './core/state.ts';
import { hasEnded } from './core/task-states.ts';
import { revisionOf } from './validation/parts.ts';

/**
 * Every change of a task after a revision, as the task now is: whoever is behind sees the newest, and may see it twice.
 * The first item only says where the watch begins. Who asked for one swarm may be told of forgotten tasks of others.
 */
export async function* watchTasks(
  journal: Journal<PoolShape>,
  request: WatchTasksRequest,
  call: Call,
): AsyncGenerator<WatchTasksResponse> {
  const { id, swarm, states } = request;
  const from = revisionOf('fromRevision', request.fromRevision);
  const start = await watchStart(journal, from, call.signal);
  yield { revision: String(start), changed: [], removed: [] };
  for await (const { revision, events } of journal.watch(start, call.signal)) {
    const ids = new Set<string>();
    for (const event of events) for (const task of tasksOf(event)) ids.add(task);
    if (id !== '' && !ids.has(id)) continue;
    const wanted = { ids: id === '' ? [...ids] : [id], swarm, states };
    if (wanted.ids.length === 0) continue;
    const { changed, removed } = await journal.query('tasksById', wanted, call, { minRevision: revision });
    if (changed.length + removed.length > 0) yield* inParts(revision, changed, removed);
  }
}

/** Resolves when the task has ended or is no longer kept, or the signal aborts. */
export async function taskEnded(journal: Journal<PoolShape>, task: Task, call: Call, from: number): Promise<void> {
  if (hasEnded(task.state)) return;
  try {
    for await (const { events } of journal.watch(from, call.signal)) {
      if (events.some((event) => endsTask(event, task.id))) return;
    }
  } catch (error) {
    if (!call.signal.aborted) throw error;
  }
}

function endsTask(event: PoolEvent, task: string): boolean {
  if (event.type === 'task.ended') return event.data.task === task;
  return event.type === 'task.forgotten' && event.data.tasks.includes(task);
}

function tasksOf(event: PoolEvent): readonly string[] {
  switch (event.type) {
    case 'task.submitted':
    case 'task.assigned':
    case 'task.started':
    case 'task.attempt-ended':
    case 'task.ready':
    case 'task.cancel-requested':
    case 'task.ended':
      return [event.data.task];
    case 'task.forgotten':
      return event.data.tasks;
    default:
      return [];
  }
}
