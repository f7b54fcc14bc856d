import { Informer } from '../journal/informer.ts';
import { offAbort, onAbort } from '../kernel/aborts.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import type { Task, TaskState } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';

/** States of tasks that have their outcome. */
export const ENDED: ReadonlySet<TaskState> = new Set([
  'TASK_STATE_SUCCEEDED',
  'TASK_STATE_FAILED',
  'TASK_STATE_CANCELLED',
]);

/** Has it its one outcome? */
export const isEnded = (task: Pick<Task, 'state'>): boolean => ENDED.has(task.state);

/** Which tasks to follow: one, or all of a swarm. `states`: only while they are in one of these, e.g. when they have ended. */
export type TaskFilter = { readonly id: string } | { readonly swarm: string; readonly states?: TaskState[] };

/** Why a watch may end that is begun anew: what it missed is gone, or the replica that was asked is far behind. */
const LISTED_AGAIN: ReadonlySet<string | undefined> = new Set(['COMPACTED', 'FUTURE_REVISION']);
const PAGE = 500;

/**
 * Calls `onTask` with tasks as they are now, and then with each one again whenever it changes, until disposed. Nothing
 * is missed; after a broken stream a task may come unchanged. `onFault` is told why it cannot follow, while it tries on,
 * and `onBack` when it can, or can again. What it asks is part of no trace.
 */
export function followTasks(
  hive: Hive,
  filter: TaskFilter,
  onTask: (task: Task) => void,
  options: { onFault?: (error: HiveError) => void; onBack?: () => void; clock?: Clock } = {},
): AsyncDisposable {
  const { onFault, onBack, clock = systemClock } = options;
  return new Informer<Task>(
    {
      list: (signal) => listTasks(hive, filter, signal),
      watch: (fromRevision, signal) => hive.pool.watchTasks({ ...filter, fromRevision }, { signal, trace: BACKGROUND }),
      keyOf: ({ id }) => id,
    },
    { clock, onItems: (tasks) => tasks.forEach(onTask), onStatus: (error) => (error ? onFault?.(error) : onBack?.()) },
  );
}

/**
 * Waits until a task has its outcome, whatever that is; `onChange` sees it on the way. It waits out restarts of the pool
 * and of the bus: `onFault` is told of them, and `onBack` when they are over. NOT_FOUND when the task is unknown.
 */
export async function waitForTask(
  hive: Hive,
  id: string,
  options: {
    signal?: AbortSignal;
    onChange?: (task: Task) => void;
    onFault?: (error: HiveError) => void;
    onBack?: () => void;
  } = {},
): Promise<Task> {
  const { signal, onChange, onBack } = options;
  const { promise, resolve, reject } = deferred<Task>();
  const onTask = (task: Task) => {
    onChange?.(task);
    if (isEnded(task)) resolve(task);
  };
  const onFault = (error: HiveError) => {
    const mayPass = error.retryable || LISTED_AGAIN.has(error.reason) || error.code === 'DEADLINE_EXCEEDED';
    if (mayPass) options.onFault?.(error);
    else reject(error);
  };
  const giveUp = () => reject(new HiveError('CANCELLED', `task ${id} is not waited for any longer`));
  if (signal?.aborted) giveUp();
  else if (signal) onAbort(signal, giveUp);
  const following = followTasks(hive, { id }, onTask, { onFault, onBack });
  try {
    return await promise;
  } finally {
    if (signal) offAbort(signal, giveUp);
    await following[Symbol.asyncDispose]();
  }
}

/** Promise.withResolvers, which Node 20 has not. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: HiveError) => void } {
  let settle: { resolve: (value: T) => void; reject: (error: HiveError) => void } | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, resolve: (value) => settle?.resolve(value), reject: (error) => settle?.reject(error) };
}

/** The tasks that are followed; of later pages the first one's revision counts, and what changed since comes again. */
async function listTasks(hive: Hive, filter: TaskFilter, signal: AbortSignal) {
  const options = { signal, trace: BACKGROUND };
  if ('id' in filter) {
    const { task, revision } = await hive.pool.getTask({ id: filter.id, linearizable: true }, options);
    return { items: task ? [task] : [], revision };
  }
  const first = await hive.pool.listTasks({ ...filter, pageSize: PAGE }, options);
  const items = [...first.tasks];
  for (let pageToken = first.nextPageToken; pageToken !== ''; ) {
    const page = await hive.pool.listTasks({ ...filter, pageSize: PAGE, pageToken }, options);
    items.push(...page.tasks);
    pageToken = page.nextPageToken;
  }
  return { items, revision: first.revision };
}
