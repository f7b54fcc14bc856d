import type { Command } from 'commander';
import { HiveError, invalid, quote } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { terms } from '../help.ts';
import { KINDS, parseAsked, pluralsOf } from '../kinds/index.ts';
import { type Filter, type Kind, kindTable } from '../kinds/kind.ts';
import { colors } from '../output.ts';
import { printable } from '../printable.ts';
import { nearestOf, orMeant, warnOfNone } from '../unknown-names.ts';
import { countingNumber, keyValue } from '../values.ts';

const KIND_HELP = `
Kinds:
${terms(KINDS.map(({ plural, aliases, what }) => [plural, aliases.length > 0 ? `${what} (${aliases.join(', ')})` : what]))}`;

const GET_EXAMPLES = `${KIND_HELP}

Examples:
  hivebus get swarms
  hivebus get tasks --swarm code --label commit=3f2a -o name
  hivebus get task nightly -o yaml
  hivebus get swarms,agents,leases
  hivebus get all --swarm code
  hivebus get clusters -o yaml | hivebus apply -f -

Of clusters, swarmagents, tasks and groups -o yaml writes manifests, as apply
takes them; -o json is the services' own form. TOOK of tasks and groups is the
time from submission to end, with the waiting; RAN, in the details of a task, is
how long an agent ran it.`;

const DESCRIBE_EXAMPLES = `${KIND_HELP}

Examples:
  hivebus describe swarm code
  hivebus describe agent code/linter-1
  hivebus describe task/nightly`;

const REMOVABLE = KINDS.filter(({ remove }) => remove !== undefined);

const DELETE_EXAMPLES = `
What deleting means:
${terms(REMOVABLE.map(({ name, remove }) => [name, remove?.means ?? '']))}

Examples:
  hivebus delete cluster research
  hivebus delete agents code/linter-1 code/linter-2
  hivebus delete task/nightly`;

interface GetOptions {
  swarm?: string;
  label?: Record<string, string>;
  all?: boolean;
  limit: number;
}

export function addGet(program: Command): void {
  program
    .command('get')
    .description('list things of some kinds, or show those that are named')
    .argument('<kind>', 'a kind, several with commas, all, or KIND/NAME')
    .argument('[name...]', 'which of them')
    .option('--swarm <name>', 'only what belongs to this swarm')
    .option('-l, --label <key=value>', 'only with this label; may be repeated', keyValue)
    .option('--all', 'what has ended and is still kept, too')
    .option('--limit <n>', 'at most so many of each kind, the last', countingNumber, 100)
    .addHelpText('after', GET_EXAMPLES)
    .action(action(get, { names: true }));
  program
    .command('describe')
    .description('all that is known of something')
    .argument('<kind>', 'a kind, or KIND/NAME')
    .argument('[name...]', 'which of them')
    .addHelpText('after', DESCRIBE_EXAMPLES)
    .action(action(describe));
  program
    .command('delete')
    .description('remove something, or ask for its end')
    .argument('<kind>', 'a kind, or KIND/NAME')
    .argument('[name...]', 'which of them')
    .addHelpText('after', DELETE_EXAMPLES)
    .action(action(remove));
}

async function get(context: Context, what: string, names: string[], options: GetOptions): Promise<void> {
  const asked = parseAsked(what, names);
  const filter = filterOf(options, asked.kinds, asked.kinds.length === KINDS.length);
  await withHive(context, async (hive) => {
    if (asked.names.length > 0) return await getNamed(context, hive, asked.kinds[0] as Kind<unknown>, asked.names);
    const lists = await Promise.all(asked.kinds.map((kind) => kind.list(hive, filter)));
    await warnOfNone(hive, lists.flat(), filter, context.output);
    const shown = asked.kinds.map((kind, i) => ({ kind, items: (lists[i] ?? []).slice(-options.limit) }));
    if (await writeManifests(context, hive, shown)) return;
    const [only] = shown.length === 1 ? shown : [];
    const data = only ? only.items : Object.fromEntries(shown.map(({ kind, items }) => [kind.plural, items]));
    const nameLines = () =>
      shown.flatMap(({ kind, items }) => items.map((item) => `${kind.name}/${kind.nameOf(item)}`));
    context.output.data(
      data,
      () =>
        shown
          .map(({ kind, items }) => (only ? '' : `${colors.bold(kind.plural)}\n`) + kindTable(kind, items, filter))
          .join('\n\n'),
      nameLines,
    );
    for (const [i, { kind, items }] of shown.entries()) {
      const left = (lists[i]?.length ?? 0) - items.length;
      if (left > 0)
        context.output.note(`${left} more ${kind.plural} are not shown; --limit ${left + items.length} shows all`);
    }
  });
}

/** As YAML, what can be applied is written so that it can be applied again: a document for each. */
async function writeManifests(
  { output }: Context,
  hive: Hive,
  shown: readonly { readonly kind: Kind<unknown>; readonly items: readonly unknown[] }[],
): Promise<boolean> {
  if (output.format !== 'yaml' || !shown.every(({ kind }) => kind.manifest)) return false;
  for (const { kind, items } of shown)
    for (const item of items) output.line(await kind.manifest?.(item, hive), () => '');
  return true;
}

/** One is given as itself, several as a list. */
async function getNamed(context: Context, hive: Hive, kind: Kind<unknown>, names: readonly string[]): Promise<void> {
  const items = await Promise.all(names.map((name) => orMeant(hive, kind, name, kind.get(hive, name))));
  if (await writeManifests(context, hive, [{ kind, items }])) return;
  context.output.data(
    items.length === 1 ? items[0] : items,
    () => kindTable(kind, items),
    () => items.map((item) => `${kind.name}/${kind.nameOf(item)}`),
  );
}

/** A filter that a kind does not have is refused, unless all kinds are asked for. */
function filterOf(options: GetOptions, kinds: readonly Kind<unknown>[], lenient: boolean): Filter {
  const { swarm, label, all } = options;
  const given: [keyof Filter, string, unknown][] = [
    ['swarm', '--swarm', swarm],
    ['labels', '--label', label],
    ['all', '--all', all],
  ];
  const faults = given
    .filter(([, , value]) => value !== undefined)
    .flatMap(([filter, field, value]) => {
      const without = kinds.filter(({ filters }) => !filters.includes(filter));
      if (lenient || without.length === 0) return [];
      return [{ field, value: quote(value), rule: `does not go with ${pluralsOf(without)}` }];
    });
  if (faults.length > 0) throw invalid(faults);
  return { ...(swarm === undefined ? {} : { swarm }), ...(label ? { labels: label } : {}), ...(all ? { all } : {}) };
}

/** The one kind and the names that `describe` and `delete` are about. */
function named(what: string, given: readonly string[]): { kind: Kind<unknown>; names: readonly string[] } {
  const { kinds, names } = parseAsked(what, given);
  const [kind, ...more] = kinds;
  if (kind && more.length === 0 && names.length > 0) return { kind, names };
  throw invalid([{ field: 'name', value: quote(what), rule: 'must be KIND NAME or KIND/NAME' }]);
}

async function describe(context: Context, what: string, given: string[]): Promise<void> {
  const { kind, names } = named(what, given);
  await withHive(context, async (hive) => {
    const items = await Promise.all(names.map((name) => orMeant(hive, kind, name, kind.get(hive, name))));
    const data = items.length === 1 ? items[0] : items;
    context.output.data(data, () => items.map((item) => kind.details(printable(item))).join('\n\n'));
  });
}

/** One that is not there is told before anything is removed. */
async function requireAll(hive: Hive, kind: Kind<unknown>, names: readonly string[]): Promise<void> {
  const found = await Promise.allSettled(names.map((name) => kind.get(hive, name)));
  const errors = found.flatMap((each) => (each.status === 'rejected' ? [HiveError.from(each.reason)] : []));
  const other = errors.find(({ code }) => code !== 'NOT_FOUND');
  if (other) throw other;
  if (errors.length === 0) return;
  const unknown = names.filter((_, i) => found[i]?.status === 'rejected');
  const close = (await Promise.all(unknown.map((name) => nearestOf(hive, kind, name)))).filter(
    (name) => name !== undefined,
  );
  const missing = unknown.map(quote).join(', ');
  const hint = close.length > 0 ? `did you mean ${close.join(', ')}?` : `see hivebus get ${kind.plural}`;
  const text = `${kind.name} ${missing} is not known, so nothing was removed; ${hint}`;
  throw new HiveError('NOT_FOUND', text);
}

async function remove(context: Context, what: string, given: string[]): Promise<void> {
  const { kind, names } = named(what, given);
  const { remove: removal } = kind;
  if (!removal)
    throw invalid([{ field: 'kind', value: quote(kind.name), rule: `cannot be deleted; ${pluralsOf(REMOVABLE)} can` }]);
  await withHive(context, async (hive) => {
    await requireAll(hive, kind, names);
    for (const name of names) {
      const said = await removal.run(hive, name);
      context.output.line({ kind: kind.name, name, said }, () => said);
    }
  });
}
