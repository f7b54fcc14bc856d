import { notFound } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { JournalEvent } from '../../libs/wire/hivebus/journal/v1/journal.ts';
import type { WrittenManifest } from '../manifest/written.ts';
import { listing } from '../output.ts';
import { printable } from '../printable.ts';

/** A column of a kind's table. */
export interface Column<T> {
  readonly title: string;
  of(item: T): string;
}

/** Which items of a kind are listed. What a kind has no such thing of is refused by the command, not passed over. */
export interface Filter {
  /** Only what belongs to this swarm. */
  readonly swarm?: string;
  /** Only what has all of these labels. */
  readonly labels?: Readonly<Record<string, string>>;
  /** True: what has ended and is still kept, too. */
  readonly all?: boolean;
}

/**
 * Something that Hivebus keeps many of: how it is called, listed, shown and removed. `get`, `describe`, `delete`, `watch`
 * and `completion` know kinds by this alone; a new kind is one file and a line in `index.ts`.
 */
export interface Kind<T> {
  /** Singular, e.g. `task`. */
  readonly name: string;
  readonly plural: string;
  readonly aliases: readonly string[];
  /** One line for help. */
  readonly what: string;
  /** The service that keeps it. */
  readonly service: 'registry' | 'pool';
  readonly columns: readonly Column<T>[];
  /** Said when there are none. */
  readonly none: string;
  readonly filters: readonly (keyof Filter)[];
  /** As `get`, `describe` and `delete` take it. */
  nameOf(item: T): string;
  /** Everything that matches, page by page. */
  list(hive: Hive, filter: Filter): Promise<T[]>;
  /** Throws NOT_FOUND. */
  get(hive: Hive, name: string): Promise<T>;
  /** All that is known of an item, for people. */
  details(item: T): string;
  /** The swarms that an item has to do with. */
  swarmsOf(item: T): readonly string[];
  /** Names of the items that an event of the service touches. */
  touched(event: JournalEvent, hive: Hive): readonly string[] | Promise<readonly string[]>;
  /** An item as `apply` takes it; undefined where nothing can be applied. */
  manifest?(item: T, hive: Hive): WrittenManifest | Promise<WrittenManifest>;
  /** Undefined where nothing can be removed. */
  readonly remove?: {
    /** What removing means, for help. */
    readonly means: string;
    /** Removes it and says what happened. */
    run(hive: Hive, name: string): Promise<string>;
  };
}

/**
 * Items as a table, not wider than `width` characters; the terminal's width by default. That there are none may be for the
 * `filter` that they were asked for by: it is said.
 */
export function kindTable<T>(kind: Kind<T>, items: readonly T[], filter: Filter = {}, width?: number): string {
  if (items.length === 0) return kind.none + filterText(filter);
  const rows = printable(items).map((item) => kind.columns.map((column) => column.of(item)));
  const titles = kind.columns.map(({ title }) => title);
  return listing(titles, rows, width);
}

function filterText({ swarm = '', labels = {} }: Filter): string {
  const given = [
    ...(swarm === '' ? [] : [`--swarm ${swarm}`]),
    ...Object.entries(labels).map(([key, value]) => `--label ${key}=${value}`),
  ];
  return given.length === 0 ? '' : ` (with ${given.join(' ')})`;
}

/** The item of an answer. */
export function present<T>(item: T | undefined, kind: string, name: string): T {
  if (item === undefined) throw notFound(kind, name);
  return item;
}

/** The text of an event's field; empty = it has none. */
export function textOf({ data }: JournalEvent, field: string): string {
  const value: unknown = data?.[field];
  return typeof value === 'string' ? value : '';
}

/** For events `<noun>.…` that hold the item's name. */
export const named =
  (noun: string, field: string) =>
  (event: JournalEvent): string[] =>
    event.type.startsWith(`${noun}.`) && textOf(event, field) !== '' ? [textOf(event, field)] : [];
