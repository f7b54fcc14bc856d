import { writeFile } from 'node:fs/promises';
import { notFound } from '../../libs/kernel/errors.ts';
import { RESULT_ARTEFACT } from '../../libs/protocol/artefacts.ts';
import { readArtefact, resultOf } from '../../libs/sdk/artefacts.ts';
import type { Artefact, Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { present } from '../kinds/kind.ts';
import { listing } from '../output.ts';
import { printable } from '../printable.ts';
import { ago } from '../values.ts';

/** Lists what a task has stored, or gives one artefact's content as it is: to a file, or to standard output. */
export async function artefacts(
  context: Context,
  id: string,
  name: string | undefined,
  { to }: { to?: string },
): Promise<void> {
  const { output } = context;
  await withHive(context, async (hive) => {
    if (name === undefined) {
      const { task } = await hive.pool.getTask({ id });
      const items = task?.artefacts?.items ?? [];
      output.data(
        items,
        () => (items.length === 0 ? 'no artefacts' : artefactTable(items)),
        () => items.map((item) => item.name),
      );
      return;
    }
    const { artefact, content } = await readArtefact(hive, id, name);
    if (to === undefined) process.stdout.write(content);
    else {
      await writeFile(to, content);
      output.note(`${to}: ${artefact.bytes} bytes, ${artefact.digest}`);
    }
  });
}

/** The result alone, as JSON on one line. */
export async function result(context: Context, id: string): Promise<void> {
  const { output } = context;
  await withHive(context, async (hive) => {
    const task = present((await hive.pool.getTask({ id, linearizable: true })).task, 'task', id);
    const value = await resultOf(hive, task);
    if (value === undefined) throw notFound('result of task', id, whyNone(task));
    output.data(value, () => printable(JSON.stringify(value)));
  });
}

const whyNone = ({ state }: Task): string =>
  state === 'TASK_STATE_SUCCEEDED' ? `it succeeded without one` : `it is ${state}; one that succeeded has a result`;

const artefactTable = (items: readonly Artefact[]): string =>
  listing(
    ['NAME', 'BYTES', 'TYPE', 'TRY', 'STORED', 'DIGEST'],
    items.map(({ name, bytes, mediaType, attempt, storedAt, digest }) => [
      name === RESULT_ARTEFACT ? `${name} (the result)` : name,
      String(bytes),
      printable(mediaType) || '-',
      String(attempt),
      ago(storedAt),
      digest,
    ]),
  );
