import { type Command, Option } from 'commander';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { changeLines } from '../manifest/changes.ts';
import { tell } from '../manifest/document.ts';
import { type Fault, throwFaults } from '../manifest/faults.ts';
import { planAll } from '../manifest/plan.ts';
import type { Outcome, Planned } from '../manifest/planned.ts';
import { readSources } from '../manifest/sources.ts';
import { colors, listing } from '../output.ts';
import { missingOptions } from '../values.ts';

const HELP = `
Manifests are YAML or JSON, any number of documents in a file, apiVersion
swarm.claudeflow.io/v1alpha1:
  SwarmCluster   what a swarm shall be; stored, each change a generation
  SwarmAgent     an agent that a swarm shall have; stored, each change a
                 generation; nothing starts it yet
  SwarmTask      a task; submitted once for its name, as long as the task of
                 that name is remembered
  SwarmTaskGroup tasks that belong together; submitted once for its name, as a
                 task
  SwarmMemory    is checked and refused: there is no memory service yet
Every document is checked, here and by its service, before the first is applied:
all faults are told at once, each with its file, line and column. Applying the
same again changes nothing.

Examples:
  hivebus apply -f research.yaml
  hivebus apply -f manifests/ --diff
  hivebus apply -f examples/manifests/count-lines.yaml --swarm code
  kubectl get swarmclusters -o yaml | hivebus apply -f - --dry-run=server`;

interface ApplyOptions {
  file: string[];
  recursive?: boolean;
  dryRun?: 'server' | 'client';
  diff?: boolean;
  swarm?: string;
  type?: string;
}

export function addApply(program: Command): void {
  program
    .command('apply')
    .description('bring about what manifests say')
    .option('-f, --file <path>', 'a file, a folder, or - for standard input; may be repeated', collect, [])
    .option('-R, --recursive', 'with folders, what is below them, too')
    .addOption(
      new Option('--dry-run <where>', 'change nothing: check here alone, or also by the services').choices([
        'server',
        'client',
      ]),
    )
    .option('--diff', 'change nothing, and show what would change against what is stored')
    .option('--swarm <name>', 'the swarm of manifests that name no cluster')
    .option('--type <type>', 'the type of agent for tasks that name none')
    .addHelpText('after', HELP)
    .action(action(apply, { names: true }));
}

const collect = (value: string, before: string[]): string[] => [...before, value];

/** Manifests that are asked about at once: their calls travel together. */
const AT_ONCE = 64;

/** A document and what became of it, or would. */
interface Applied extends Outcome {
  readonly kind: string;
  readonly name: string;
}

async function apply(context: Context, options: ApplyOptions): Promise<void> {
  const { file, dryRun, diff } = options;
  const missing = missingOptions({ '-f, --file <path>': file.length > 0 });
  if (missing) throw missing;
  const faults: Fault[] = [];
  const planned = planAll(await readSources(file, options.recursive ?? false, faults), options, faults);
  throwFaults(faults);
  if (dryRun === 'client' && !diff) {
    const names = planned.map(({ kind, name }) => ({ kind, name }));
    return show(context, names, () => `${planned.length} manifests are well formed; no service was asked`);
  }
  await withHive(context, async (hive) => {
    const tried = await tryAll(context, hive, planned);
    if (dryRun || diff) return report(context, tried, true, diff ?? false);
    const done: Applied[] = [];
    for (const together of inOrder(planned)) {
      context.output.progress(`applying ${done.length + 1} of ${planned.length}`);
      const outcomes = await Promise.allSettled(together.map((each) => each.apply(hive, false, NOTHING)));
      const failed = outcomes.findIndex(({ status }) => status === 'rejected');
      const applied = done.length + outcomes.filter(({ status }) => status === 'fulfilled').length;
      for (const [i, outcome] of outcomes.entries()) {
        const { kind, name } = together[i] as Planned;
        if (outcome.status === 'rejected')
          throw stopped(together[failed] as Planned, outcome.reason, applied, planned.length);
        done.push({ ...outcome.value, kind, name, changes: tried[done.length]?.changes ?? [] });
      }
    }
    report(context, done, false, false);
  });
}

/** Asks the services what each would do. What they refuse is told at its place in the manifests, all of it at once. */
async function tryAll(context: Context, hive: Hive, planned: readonly Planned[]): Promise<Applied[]> {
  const faults: Fault[] = [];
  const tried: Applied[] = [];
  const names = new Set(planned.flatMap(({ kind, name }) => (kind === 'task' ? [name] : [])));
  for (let from = 0; from < planned.length; from += AT_ONCE) {
    context.output.progress(`checking ${from + 1} of ${planned.length}`);
    const together = planned.slice(from, from + AT_ONCE);
    const outcomes = await Promise.allSettled(together.map((each) => each.apply(hive, true, names)));
    for (const [i, outcome] of outcomes.entries()) {
      const each = together[i] as Planned;
      if (outcome.status === 'fulfilled') tried.push({ ...outcome.value, kind: each.kind, name: each.name });
      else refusal(each, HiveError.from(outcome.reason), faults);
    }
  }
  context.output.progress('');
  throwFaults(faults);
  return tried;
}

function refusal({ document, pathOf }: Planned, error: HiveError, faults: Fault[]): void {
  if (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED') throw error;
  if (error.code === 'INVALID_ARGUMENT' && error.violations.length > 0) {
    for (const violation of error.violations)
      tell(document, faults, '', { ...violation, field: pathOf(violation.field) });
  } else {
    document.fault(faults, '', error.message, error.code);
  }
}

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Tasks that follow each other go together, but for one that waits for another of them. What else there is goes one after
 * the other: a task may need the cluster before it.
 */
function* inOrder(planned: readonly Planned[]): Generator<Planned[]> {
  let together: Planned[] = [];
  for (const each of planned) {
    const [first] = together;
    const isLone = first?.kind !== 'task' || each.kind !== 'task' || together.length === AT_ONCE;
    if (first && (isLone || together.some(({ name }) => each.after?.includes(name)))) {
      yield together;
      together = [];
    }
    together.push(each);
  }
  if (together.length > 0) yield together;
}

function stopped({ kind, name }: Planned, cause: unknown, done: number, all: number): HiveError {
  const error = HiveError.from(cause);
  const message =
    `${kind}/${name}: ${error.message}; ${done} of ${all} manifests were applied beside it. ` +
    'Apply again when it is mended: what is done stays as it is';
  return new HiveError(error.code, message, { cause, retryable: error.retryable });
}

function report(context: Context, applied: readonly Applied[], dryRun: boolean, diff: boolean): void {
  show(
    context,
    applied.map((each) => ({ ...each, dryRun })),
    () => {
      const head = applied.map(({ kind, name, change, note }) => [`${kind}/${name}`, changeText(change, dryRun), note]);
      if (!diff) return listing(['MANIFEST', dryRun ? 'WOULD BE' : 'IS', ''], head);
      return applied
        .map(({ kind, name, change, changes }) =>
          [`${kind}/${name} ${changeText(change, true)}`, ...changeLines(changes).map((line) => `  ${line}`)].join(
            '\n',
          ),
        )
        .join('\n');
    },
  );
}

function changeText(change: Outcome['change'], dryRun: boolean): string {
  if (change === 'unchanged') return colors.dim(change);
  return dryRun ? colors.yellow(change) : colors.green(change);
}

const show = (context: Context, items: readonly { kind: string; name: string }[], human: () => string): void =>
  context.output.data(items, human, () => items.map(({ kind, name }) => `${kind}/${name}`));
