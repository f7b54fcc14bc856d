import { HiveError } from '../libs/kernel/errors.ts';
import { nearest } from '../libs/kernel/nearest.ts';
import type { Hive } from '../libs/sdk/hive.ts';
import type { Output } from './output.ts';
import { allSwarms } from './queries.ts';

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
