import { isName } from '../kernel/names.ts';
import type { SubmitTaskRequest } from '../wire/hivebus/pool/v1/pool.ts';
import { currentContext, type Handled, within } from './context.ts';
import type { Hive } from './hive.ts';

/** What is submitted from within `run` is delegated by what it says itself, wherever `run` is called. */
export const withoutTask = <T>(run: () => T): T => within({ trace: currentContext().trace, task: undefined }, run);

/** By which task something is delegated, as a part of what is submitted. */
export type Delegated = Pick<SubmitTaskRequest, 'origin'>;

/** For what is submitted here, and sent from elsewhere. */
export const delegatedHere = (federation: string): Delegated => delegatedBy(currentContext().task, federation);

const delegatedBy = (by: Handled | undefined, federation: string): Delegated =>
  by?.federation === federation ? { origin: { parent: by.task, replayOf: '' } } : {};

/** The task that this process was started for, by an agent that runs it as a command. */
export function taskOfEnvironment(env: NodeJS.ProcessEnv): Handled | undefined {
  const { HIVEBUS_FEDERATION: federation = '', HIVEBUS_TASK_ID: task = '' } = env;
  return isName(federation) && isName(task) ? { federation, task } : undefined;
}

/** The pool's methods, with submissions that say by which task of the same federation they are delegated. */
export function delegating(pool: Hive['pool'], federation: string, outer: Handled | undefined): Hive['pool'] {
  const here = () => delegatedBy(currentContext().task ?? outer, federation);
  const told = <Request extends object>(request: Request): Request => ({ ...here(), ...request });
  return {
    ...pool,
    submitTask: (request, options) => pool.submitTask(told(request), options),
    submitGroup: (request, options) => pool.submitGroup(told(request), options),
    submitTasks(request, options) {
      const tasks = here().origin && request.tasks?.map(told);
      return pool.submitTasks(tasks ? { ...request, tasks } : request, options);
    },
  };
}
