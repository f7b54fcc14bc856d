import { counted } from '../../libs/kernel/counted.ts';
import { HiveError, invalid, quote, type Violation } from '../../libs/kernel/errors.ts';
import { type Submitted, submitAll } from '../../libs/sdk/submit-all.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { jsonIn, textOf } from '../values.ts';

/** Options that make sense of one task only. */
export interface OptionsOfOne {
  readonly payload?: string;
  readonly script?: string;
  readonly id: string;
  readonly wait?: boolean;
}

/** Throws INVALID_ARGUMENT for each that was given. */
export function refuseOptionsOfOne({ payload, script, id, wait }: OptionsOfOne): void {
  const given = { '--payload': payload, '--script': script, '--id': id || undefined, '--wait': wait };
  const faults = Object.entries(given).filter(([, value]) => value !== undefined);
  if (faults.length === 0) return;
  const rule = 'is for one task, and here are many; leave it out';
  throw invalid(faults.map(([field, value]) => ({ field, value: quote(value), rule })));
}

/** A task for each line of a file of JSON, with the line as its payload. */
export async function specsOfEach(specs: readonly TaskSpec[], path: string): Promise<TaskSpec[]> {
  const [spec] = specs;
  if (!spec || specs.length > 1) {
    throw invalid([
      { field: '--each', value: quote(path), rule: 'takes one manifest at most, for what all have in common' },
    ]);
  }
  const text = await textOf(path === '-' ? '-' : `@${path}`);
  const tasks: TaskSpec[] = [];
  const faults: Violation[] = [];
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    try {
      tasks.push({ ...spec, payload: jsonIn(`--each, line ${i + 1}`, line) });
    } catch (cause) {
      const { violations } = HiveError.from(cause);
      const malformed = { field: `--each, line ${i + 1}`, value: quote(line), rule: 'must be JSON' };
      faults.push(...(violations.length > 0 ? violations : [malformed]));
    }
  }
  if (faults.length > 0) throw invalid(faults.slice(0, MAX_TOLD));
  return tasks;
}

/** Faults and refusals that are told one by one. */
const MAX_TOLD = 20;

/** Submits them in as few calls as carry them; what is refused keeps nothing else from being submitted. */
export async function submitMany(context: Context, specs: readonly TaskSpec[]): Promise<number> {
  const { output, signal } = context;
  const [first] = specs;
  if (!first) throw new HiveError('INVALID_ARGUMENT', 'there is no task to submit: the file has no line');
  return withHive(
    context,
    async (hive) => {
      const outcomes = await submitAll(
        hive,
        specs.map((spec) => ({ spec })),
        { signal },
      );
      const refused = outcomes.flatMap(({ error }, i) => (error ? [{ error, place: i + 1 }] : []));
      for (const { error, place } of refused.slice(0, MAX_TOLD)) {
        const { title = '' } = specs[place - 1] ?? {};
        const what = error.code === 'DEADLINE_EXCEEDED' ? 'may be there or not' : 'is refused';
        output.note(
          `task ${place} of ${specs.length}${title && ` (${title})`} ${what}: ${error.code}: ${error.message}`,
        );
      }
      const submitted = outcomes.filter(({ error }) => !error);
      output.data(
        outcomes.map(shown),
        () => submitted.map(({ id }) => id).join('\n'),
        () => submitted.map(({ id }) => `task/${id}`),
      );
      output.note(
        `${submitted.length} of ${counted(specs.length, 'task')} ${submitted.length === 1 ? 'is' : 'are'} submitted${refused.length > 0 ? `, ${refused.length} refused` : ''}`,
      );
      return refused.length > 0 ? EXIT.failed : EXIT.ok;
    },
    { kind: 'swarm', swarm: first.swarm },
  );
}

const shown = ({ id, created, state, error }: Submitted): object =>
  error ? { error: error.toJSON() } : { id, created, state };
