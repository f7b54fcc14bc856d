import { AsyncLocalStorage } from 'node:async_hooks';
import { isName } from '../kernel/names.ts';
import type { Hive } from './hive.ts';

/** A task, where it is handled. */
export interface Handled {
  readonly federation: string;
  readonly task: string;
}

const handled = new AsyncLocalStorage<Handled>();

/** What is submitted from within `run` is delegated by this task, and uses its budget. */
export const withTask = <T>(task: Handled, run: () => T): T => handled.run(task, run);

/** The task that this process was started for, by an agent that runs it as a command. */
export function taskOfEnvironment(env: NodeJS.ProcessEnv): Handled | undefined {
  const { HIVEBUS_FEDERATION: federation = '', HIVEBUS_TASK_ID: task = '' } = env;
  return isName(federation) && isName(task) ? { federation, task } : undefined;
}

/** The pool's methods, with submissions that say by which task of the same federation they are delegated. */
export function delegating(pool: Hive['pool'], federation: string, outer: Handled | undefined): Hive['pool'] {
  const told = <Request extends object>(request: Request): Request => {
    const from = handled.getStore() ?? outer;
    return from?.federation === federation ? { origin: { parent: from.task, replayOf: '' }, ...request } : request;
  };
  return {
    ...pool,
    submitTask: (request, options) => pool.submitTask(told(request), options),
    submitGroup: (request, options) => pool.submitGroup(told(request), options),
    submitTasks(request, options) {
      const tasks = request.tasks?.map(told);
      return pool.submitTasks(tasks ? { ...request, tasks } : request, options);
    },
  };
}
