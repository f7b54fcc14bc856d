import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Artefacts, Whose } from './artefacts.ts';
import type { PoolShape } from './core/state.ts';

export interface SweepDeps {
  readonly journal: Pick<Journal<PoolShape>, 'role' | 'state'>;
  readonly artefacts: Pick<Artefacts, 'strays' | 'remove'>;
  readonly clock: Clock;
  /** How often, in milliseconds. */
  readonly everyMs: number;
  /** Told of what did not succeed; it is tried again. */
  readonly onError: (error: HiveError) => void;
}

/**
 * Where the journal leads: removes content of artefacts whose row is gone, and what was stored and never named. An upload
 * is content without a row, too, as long as it lasts: so what is nobody's is removed when it was so at the sweep before.
 */
export function sweepArtefacts({ journal, artefacts, clock, everyMs, onError }: SweepDeps): Disposable {
  const closing = new AbortController();
  let before: ReadonlySet<string> = new Set();

  /** The attempt that stores is current; what it stores may not be named yet. */
  const isKept = ({ task, attempt, name }: Whose): boolean => {
    const row = journal.state.tasks.get(task);
    const isCurrent = row?.state === 'TASK_STATE_RUNNING' && row.attempts.length === attempt;
    const items = journal.state.artefacts.get(task)?.items ?? [];
    return isCurrent || items.some((item) => item.name === name && item.attempt === attempt);
  };

  const sweep = async () => {
    if (journal.role !== 'leader') {
      before = new Set();
      return;
    }
    try {
      const strays = await artefacts.strays(isKept);
      for (const name of strays.filter((each) => before.has(each))) {
        if (closing.signal.aborted || journal.role !== 'leader') return;
        await artefacts.remove(name);
      }
      before = new Set(strays);
    } catch (cause) {
      if (!closing.signal.aborted) onError(HiveError.from(cause));
    }
  };

  let timer: Disposable;
  const sweepLater = () => {
    timer = clock.after(everyMs, () => void sweep().finally(() => closing.signal.aborted || sweepLater()));
  };
  sweepLater();
  return {
    [Symbol.dispose]: () => {
      closing.abort();
      timer[Symbol.dispose]();
    },
  };
}
