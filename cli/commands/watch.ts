import type { Command } from 'commander';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { action, withHive } from '../action.ts';
import { Columns } from '../columns.ts';
import type { Context } from '../context.ts';
import { follow, past, type Told } from '../journal-events.ts';
import { parseAsked, pluralsOf } from '../kinds/index.ts';
import type { Kind } from '../kinds/kind.ts';
import { orNone } from '../manifest/planned.ts';
import { Outage } from '../outage.ts';
import { grid, leftOutText } from '../output.ts';
import { printable } from '../printable.ts';

const HELP = `
First what there is, then each thing again whenever it changes, as it is then;
what is gone is said. Nothing is missed: after a break it goes on where it was,
and when that is no longer kept everything is shown anew.

Examples:
  hivebus watch tasks --swarm code
  hivebus watch agent code/linter-1
  hivebus watch swarms -o json`;

export function addWatch(program: Command): void {
  program
    .command('watch')
    .description('things of a kind, and their changes, until interrupted')
    .argument('<kind>', 'a kind, or KIND/NAME')
    .argument('[name...]', 'only these')
    .option('--swarm <name>', 'only what has to do with this swarm')
    .addHelpText('after', HELP)
    .action(action(watch, { heedsSignal: true, names: true }));
}

interface Wanted {
  readonly names: readonly string[];
  readonly swarm: string | undefined;
}

async function watch(context: Context, what: string, given: string[], { swarm }: { swarm?: string }): Promise<void> {
  const { kinds, names } = parseAsked(what, given);
  const [kind, ...more] = kinds;
  if (!kind || more.length > 0) {
    throw new HiveError('INVALID_ARGUMENT', `one kind at a time can be watched, not ${pluralsOf(kinds)}`);
  }
  await withHive(context, async (hive) => {
    const printer = new Printer(context, kind);
    const wanted: Wanted = { names, swarm };
    const outage = new Outage(context);
    while (!context.signal.aborted) await untilCompacted(context, hive, kind, wanted, printer, outage);
  });
}

async function untilCompacted(
  context: Context,
  hive: Hive,
  kind: Kind<unknown>,
  wanted: Wanted,
  printer: Printer,
  outage: Outage,
): Promise<void> {
  const { signal } = context;
  // Where the watch begins is asked before the list is: what changes between them is shown twice, and nothing is missed.
  const from = await here(hive, kind, signal);
  printer.show((await kind.list(hive, {})).filter((item) => isWanted(kind, item, wanted)));
  try {
    for await (const told of follow(hive, kind.service, from, signal, outage)) {
      await showChanges(hive, kind, wanted, told, printer);
    }
  } catch (error) {
    if (!(error instanceof HiveError) || error.reason !== 'COMPACTED') throw error;
    context.output.note('COMPACTED: what changed meanwhile is no longer kept; everything is shown anew');
  }
}

async function here(hive: Hive, kind: Kind<unknown>, signal: AbortSignal): Promise<string> {
  let revision = '0';
  for await (const { record } of past(hive, kind.service, { fromRevision: '0' }, signal)) revision = record.revision;
  return revision;
}

async function showChanges(hive: Hive, kind: Kind<unknown>, wanted: Wanted, told: Told, printer: Printer) {
  const touched = await Promise.all(told.record.events.map((event) => kind.touched(event, hive)));
  for (const name of new Set(touched.flat())) {
    if (wanted.names.length > 0 && !wanted.names.includes(name)) continue;
    const item = await orNone(kind.get(hive, name));
    if (item === undefined) printer.gone(name);
    else if (isWanted(kind, item, wanted)) printer.show([item]);
  }
}

const isWanted = (kind: Kind<unknown>, item: unknown, { names, swarm }: Wanted): boolean =>
  (names.length === 0 || names.includes(kind.nameOf(item))) &&
  (swarm === undefined || kind.swarmsOf(item).includes(swarm));

/** Rows below a head, which comes again for people when the columns have moved. */
class Printer {
  readonly #context: Context;
  readonly #kind: Kind<unknown>;
  readonly #shown = new Set<string>();
  readonly #columns: Columns;
  readonly #head: readonly string[];
  #begun = false;

  constructor(context: Context, kind: Kind<unknown>) {
    this.#context = context;
    this.#kind = kind;
    this.#head = kind.columns.map(({ title }) => title);
    this.#columns = new Columns(this.#head);
  }

  show(items: readonly unknown[]): void {
    const { output } = this.#context;
    const { columns, name: kind } = this.#kind;
    const rows = printable(items).map((item) => columns.map((column) => column.of(item)));
    const { widths, moved } = this.#columns.place(rows);
    if (output.format === 'table' && (!this.#begun || (moved && output.interactive))) {
      output.line(undefined, () => grid(widths, [], this.#head));
      if (!this.#begun) this.#tellLeftOut(widths.length);
      this.#begun = true;
    }
    for (const [i, item] of items.entries()) {
      const name = this.#kind.nameOf(item);
      this.#shown.add(name);
      const text = () => (output.format === 'name' ? `${kind}/${name}` : grid(widths, rows.slice(i, i + 1)));
      output.line({ kind, name, gone: false, item }, text);
    }
  }

  #tellLeftOut(shown: number): void {
    const text = leftOutText(this.#head.slice(shown));
    if (text !== '') this.#context.output.note(text);
  }

  /** Of what was never shown nobody wants to know that it is gone. */
  gone(name: string): void {
    if (!this.#shown.delete(name)) return;
    const { output } = this.#context;
    const { name: kind } = this.#kind;
    output.line({ kind, name, gone: true }, () => (output.format === 'name' ? `${kind}/${name}` : `${name}  is gone`));
  }
}
