import type { Hive } from '../../libs/sdk/hive.ts';
import type { DeadLetter } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { taskDetails } from '../kinds/tasks.ts';
import { listing } from '../output.ts';
import { plainLine } from '../printable.ts';
import { ago } from '../values.ts';

/** How many one call gives. */
const PAGE = 1000;

export async function deadLetters(
  context: Context,
  id: string | undefined,
  { swarm }: { swarm: string },
): Promise<void> {
  const { output } = context;
  await withHive(context, async (hive) => {
    if (id !== undefined) {
      const { letter } = await hive.pool.getDeadLetter({ task: id });
      output.data(letter, () => (letter ? details(letter) : ''));
      return;
    }
    const letters = await allLetters(hive, swarm);
    output.data(
      letters,
      () => (letters.length === 0 ? 'no dead letters' : letterTable(letters)),
      () => letters.map(({ task }) => `task/${task?.id}`),
    );
  });
}

export async function replay(context: Context, id: string, options: { id: string }): Promise<void> {
  const { output } = context;
  await withHive(context, async (hive) => {
    const { task } = await hive.pool.replayTask({ task: id, id: options.id });
    output.data(
      task,
      () => task?.id ?? '',
      () => [`task/${task?.id}`],
    );
  });
}

async function allLetters(hive: Hive, swarm: string): Promise<DeadLetter[]> {
  const all: DeadLetter[] = [];
  let pageToken = '';
  do {
    const page = await hive.pool.listDeadLetters({ swarm, pageSize: PAGE, pageToken });
    all.push(...page.letters);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return all;
}

const letterTable = (letters: readonly DeadLetter[]): string =>
  listing(
    ['TASK', 'SWARM', 'TYPE', 'TRIES', 'FAILED', 'REPLAYS', 'REASON'],
    letters.map(({ task, replays }) => [
      task?.id ?? '',
      task?.spec?.swarm ?? '-',
      task?.spec?.type ?? '-',
      String(task?.attempts.length ?? 0),
      ago(task?.endedAt),
      String(replays.length),
      plainLine(task?.reason || '-'),
    ]),
  );

function details({ task, replays }: DeadLetter): string {
  const made = replays.length === 0 ? '' : `\n\nreplayed as ${replays.join(', ')}`;
  return task ? taskDetails(task) + made : '';
}
