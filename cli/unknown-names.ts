import { HiveError, notFound, quote } from '../libs/kernel/errors.ts';
import { nearest } from '../libs/kernel/nearest.ts';
import type { Hive } from '../libs/sdk/hive.ts';
import type { Kind } from './kinds/kind.ts';
import type { Output } from './output.ts';
import { allSwarms } from './queries.ts';

/** Whom something is said of may register later: it is told, and done. Never rejects. */
export async function warnOfUnregistered(hive: Hive, swarms: readonly string[], output: Output): Promise<void> {
  if (swarms.length === 0) return;
  const names = await allSwarms(hive).then(
    (all) => all.map(({ name }) => name),
    () => swarms, // nobody answers: then nothing can be said
  );
  for (const swarm of swarms.filter((each) => !names.includes(each))) {
    const close = nearest(swarm, names);
    output.note(`swarm ${swarm} is not registered (yet)${close ? `; did you mean ${close}?` : ''}`);
  }
}

/** NOT_FOUND, with what was meant, for a swarm that is not registered; nothing when nobody can say. */
export async function requireRegistered(hive: Hive, swarms: readonly string[]): Promise<void> {
  const names = await allSwarms(hive).then(
    (all) => all.map(({ name }) => name),
    () => swarms,
  );
  const [unknown] = swarms.filter((each) => !names.includes(each));
  if (unknown === undefined) return;
  const close = nearest(unknown, names);
  throw notFound(
    'swarm',
    unknown,
    close ? `did you mean ${close}?` : 'hivebus get swarms lists those that are registered',
  );
}

/** Of a list that is empty: was it asked for by the name of a swarm or group that is not there? Never rejects. */
export async function warnOfNone(
  hive: Hive,
  items: readonly unknown[],
  { swarm = '', group = '' }: { readonly swarm?: string; readonly group?: string },
  output: Output,
): Promise<void> {
  if (items.length > 0) return;
  if (swarm !== '') await warnOfUnregistered(hive, [swarm], output);
  if (group === '') return;
  await hive.pool.getGroup({ id: group }).catch((error: unknown) => {
    if (error instanceof HiveError && error.code === 'NOT_FOUND') output.note(error.message);
  });
}

/** What `asked` comes to, which is about the item `name`; where there is none, also which one was meant. */
export async function orMeant<T>(hive: Hive, kind: Kind<unknown>, name: string, asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    const error = HiveError.from(cause);
    if (error.code !== 'NOT_FOUND' || !error.message.startsWith(`${kind.name} ${quote(name)}`)) throw error;
    const close = await nearestOf(hive, kind, name);
    if (close === undefined || error.message.includes('did you mean')) throw error;
    throw new HiveError('NOT_FOUND', `${kind.name} ${quote(name)} is not known; did you mean ${close}?`, { cause });
  }
}

/** The item whose name is closest; undefined when none is close, or nobody can say. */
export async function nearestOf(hive: Hive, kind: Kind<unknown>, name: string): Promise<string | undefined> {
  // Of tasks there may be very many, and their ids are rarely typed.
  if (kind.name === 'task') return undefined;
  const items = await kind.list(hive, {}).catch(() => []);
  return nearest(
    name,
    items.map((item) => kind.nameOf(item)),
  );
}

/** A name in a filter that nobody has may be a slip, or come later: it is told and waited for. Never rejects. */
export async function warnOfUnknown(
  hive: Hive,
  { swarm, task }: { readonly swarm?: string; readonly task?: string },
  output: Output,
): Promise<void> {
  if (swarm !== undefined) {
    const names = await allSwarms(hive).then(
      (swarms) => swarms.map(({ name }) => name),
      () => [swarm], // nobody answers: then nothing can be said
    );
    const close = nearest(swarm, names);
    const meant = close ? `; did you mean ${close}?` : '';
    if (!names.includes(swarm)) output.note(`waiting for swarm ${swarm}, which is not registered${meant}`);
  }
  if (task !== undefined) {
    await hive.pool.getTask({ id: task }).catch((error: unknown) => {
      if (error instanceof HiveError && error.code === 'NOT_FOUND') output.note(`${error.message}; waiting for it`);
    });
  }
}
