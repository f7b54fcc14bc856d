import { createHash, type Hash } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Log, Observer, SnapshotStore } from './ports.ts';
import { type EpochMark, Replica } from './replica.ts';

/** Rows that are written between two looks at what else there is to do: about 1 ms. */
const SLICE_ROWS = 500;

/** First line of a snapshot; then a line a row; then `{"end":<rows>}`. */
interface Head {
  readonly format: 1;
  readonly service: string;
  readonly incarnation: string;
  readonly revision: number;
  readonly time: number;
  readonly marks: readonly EpochMark[];
}

interface Line {
  readonly t: string;
  readonly k: string;
  readonly v: unknown;
}

/** The revision in a snapshot's name. */
export const revisionOf = (name: string): number => Number.parseInt(name, 10);

/** `<revision>-<hash>` */
const nameOf = (revision: number, hash: Hash): string =>
  `${String(revision).padStart(16, '0')}-${hash.digest('hex').slice(0, 32)}`;

/** Does the content match the name? */
export const isWhole = (name: string, content: Uint8Array): boolean =>
  nameOf(revisionOf(name), createHash('sha256').update(content)) === name;

/** Names of snapshots, newest first. */
export const newestFirst = (names: readonly string[]): string[] =>
  [...names].sort((a, b) => revisionOf(b) - revisionOf(a));

/**
 * Writes the committed state as it is at the moment of the call, in slices, so that the leader goes on meanwhile.
 * The result has the snapshot's name and its bytes.
 */
export function capture<M extends Shape>(
  replica: Replica<M>,
  incarnation: string,
  clock: Clock,
): Promise<{ name: string; content: Uint8Array }> {
  const { seq: revision, time, marks, machine } = replica;
  const head: Head = { format: 1, service: machine.service, incarnation, revision, time, marks };
  const frozen = Object.entries(replica.tables()).map(([name, table]) => [name, table.freeze()] as const);
  return write(head, frozen, clock).finally(() => {
    for (const [, rows] of frozen) rows.release();
  });
}

async function write(
  head: Head,
  tables: readonly (readonly [string, { size: number; row(i: number): [string, unknown] }])[],
  clock: Clock,
) {
  const hash = createHash('sha256');
  const chunks: Buffer[] = [];
  const emit = (lines: string[]) => {
    const chunk = Buffer.from(lines.join(''));
    hash.update(chunk);
    chunks.push(chunk);
    return new Promise<void>((resolve) => clock.defer(resolve));
  };
  let written = 0;
  await emit([`${JSON.stringify(head)}\n`]);
  for (const [t, rows] of tables) {
    for (let from = 0; from < rows.size; from += SLICE_ROWS) {
      const lines: string[] = [];
      for (let i = from; i < Math.min(from + SLICE_ROWS, rows.size); i++) {
        const [k, v] = rows.row(i);
        lines.push(`${JSON.stringify({ t, k, v } satisfies Line)}\n`);
      }
      written += lines.length;
      await emit(lines);
    }
  }
  await emit([JSON.stringify({ end: written })]);
  return { name: nameOf(head.revision, hash), content: Buffer.concat(chunks) };
}

/** Makes a replica of a snapshot. Throws DATA_LOSS when it is not whole, or not of this journal. */
export function restore<M extends Shape>(
  machine: Machine<M>,
  name: string,
  content: Uint8Array,
  incarnation: string,
): Replica<M> {
  if (!isWhole(name, content)) throw broken(name, 'its content does not match its hash');
  const lines = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString().split('\n');
  const head = JSON.parse(lines[0] as string) as Head;
  if (head.format !== 1 || head.service !== machine.service || head.incarnation !== incarnation) {
    throw broken(name, `it belongs to ${head.service}, incarnation ${head.incarnation}, format ${head.format}`);
  }
  const replica = new Replica(machine, incarnation);
  const tables = replica.tables();
  for (const line of lines.slice(1, -1)) {
    const { t, k, v } = JSON.parse(line) as Line;
    const table = tables[t];
    if (!table) throw broken(name, `its table ${t} is not known to this version`);
    table.set(k, v);
  }
  replica.seq = head.revision;
  replica.time = head.time;
  replica.marks = [...head.marks];
  machine.restored(replica.state);
  replica.sessions.restored();
  return replica;
}

/** What was written is not what was read back. */
export const notReadBack = (name: string): HiveError => broken(name, 'it was not read back as it was written');

const broken = (name: string, what: string): HiveError =>
  new HiveError('DATA_LOSS', `snapshot ${name} cannot be used: ${what}`, { reason: 'CORRUPT_SNAPSHOT' });

/** Tells of what a load did. */
export type LoadObserver = Pick<Observer, 'log'>;

/** The newest state that the snapshots and the beginning of the stream allow; records after it are still to be taken. */
export async function load<M extends Shape>(
  machine: Machine<M>,
  incarnation: string,
  snapshots: SnapshotStore,
  log: Log,
  observer: LoadObserver,
): Promise<Replica<M>> {
  const names = newestFirst(await snapshots.names());
  let bad = 0;
  for (const name of names) {
    const content = await snapshots.get(name);
    if (!content) throw new HiveError('UNAVAILABLE', `snapshot ${name} was pruned while it was looked for`);
    try {
      return restore(machine, name, content, incarnation);
    } catch (error) {
      bad++;
      observer.log('error', HiveError.from(error).message, { snapshot: name });
    }
  }
  const { first } = await log.bounds();
  if (first <= 1) return new Replica(machine, incarnation);
  throw new HiveError(
    'DATA_LOSS',
    `the journal of ${machine.service} begins at record ${first} and none of its ${names.length} snapshots (${bad} corrupt) can be used: ` +
      'restore the snapshot bucket or the stream from a backup, or remove both to begin anew',
    { reason: 'NO_SNAPSHOT' },
  );
}
