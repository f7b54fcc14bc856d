import { quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import type { Comparison, Criterion, Finding, Gate } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { TaskRow } from './rows.ts';

/** Go or no-go: what a gate asks of the tasks before it, and what was found. Pure. */

/** What a phase asks that says nothing: all of its tasks succeeded. */
export const EVERY_TASK: Gate = { minSucceededPercent: 100, criteria: [] };

/** How the tasks of a phase stand to its gate, part by part; the share of successes first. */
export function judge(
  { minSucceededPercent, criteria }: Gate,
  tasks: readonly TaskRow[],
  taskOf: (id: string) => TaskRow | undefined,
): Finding[] {
  return [share(tasks, minSucceededPercent || 100), ...criteria.map((one) => meets(one, taskOf(one.task)))];
}

function share(tasks: readonly TaskRow[], percent: number): Finding {
  const good = tasks.filter(({ state }) => state === 'TASK_STATE_SUCCEEDED').length;
  const text = percent === 100 ? 'every task succeeded' : `at least ${percent}% of the tasks succeeded`;
  return { text, holds: good * 100 >= percent * tasks.length, found: `${good} of ${tasks.length}` };
}

const WORDS: Readonly<Record<Comparison, string>> = {
  COMPARISON_UNSPECIFIED: '',
  COMPARISON_EQUAL: 'is',
  COMPARISON_AT_LEAST: 'is at least',
  COMPARISON_AT_MOST: 'is at most',
  COMPARISON_MORE: 'is more than',
  COMPARISON_LESS: 'is less than',
};

function meets({ task: id, path, comparison, value }: Criterion, task: TaskRow | undefined): Finding {
  const text = `${path === '' ? 'the result' : path} of task ${id} ${WORDS[comparison]} ${quote(value)}`;
  const found = task?.state === 'TASK_STATE_SUCCEEDED' ? at(task.result, path) : undefined;
  return { text, holds: found !== undefined && compare(found, comparison, value), found: shown(task, found) };
}

const shown = (task: TaskRow | undefined, found: unknown): string => {
  if (task?.state !== 'TASK_STATE_SUCCEEDED') return 'no result: the task did not succeed';
  return found === undefined ? 'no such value in its result' : quote(found);
};

function compare(found: unknown, how: Comparison, value: unknown): boolean {
  if (how === 'COMPARISON_EQUAL') return sameJson(found, value);
  if (typeof found !== 'number' || typeof value !== 'number') return false;
  switch (how) {
    case 'COMPARISON_AT_LEAST':
      return found >= value;
    case 'COMPARISON_AT_MOST':
      return found <= value;
    case 'COMPARISON_MORE':
      return found > value;
    default:
      return found < value;
  }
}

/** What a JSON Pointer (RFC 6901) points at; undefined when there is nothing. */
export function at(value: unknown, pointer: string): unknown {
  if (pointer === '') return value;
  let found = value;
  for (const part of pointer.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = (found as Record<string, unknown>)[key];
  }
  return found;
}
