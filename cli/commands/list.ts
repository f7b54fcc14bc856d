import type { Command } from 'commander';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { type Filter, type Kind, kindTable } from '../kinds/kind.ts';
import { warnOfNone } from '../unknown-names.ts';

/** What `KIND list` takes; each kind heeds those of its filters. */
interface ListOptions {
  swarm?: string;
  all?: boolean;
}

/** Adds `list` to a kind's own command: the same as `get KINDS`, where people look for it. */
export function addList<T>(parent: Command, kind: Kind<T>): void {
  const command = parent.command('list').description(`the same as get ${kind.plural}`);
  if (kind.filters.includes('swarm')) command.option('--swarm <name>', 'only what belongs to this swarm');
  if (kind.filters.includes('all')) command.option('--all', 'those that have ended and are still kept, too');
  command.action(action((context: Context, options: ListOptions) => list(context, kind, options), { names: true }));
}

async function list<T>(context: Context, kind: Kind<T>, filter: Filter): Promise<void> {
  await withHive(context, async (hive) => {
    const items = await kind.list(hive, filter);
    await warnOfNone(hive, items, filter, context.output);
    context.output.data(
      items,
      () => kindTable(kind, items, filter),
      () => items.map((item) => `${kind.name}/${kind.nameOf(item)}`),
    );
  });
}
