import type { Journal } from '../journal/journal.ts';
import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Shape } from '../protocol/machine.ts';

/**
 * How long a replica may lag behind the one that told a revision, in milliseconds: one that follows the journal by a NATS
 * server that is lost notices after 4 to 6 s (`libs/bus/ordered.ts`).
 */
const MAX_LAG_MS = 8000;
const LOOK_MS = 20;

/**
 * Where a watch from a given revision begins; 0 = now. One that this replica has not reached is waited for.
 * @throws HiveError OUT_OF_RANGE for one that is never reached: the journal was begun anew since, or it was made up.
 */
export async function watchStart<M extends Shape>(
  journal: Pick<Journal<M>, 'revision'>,
  from: number,
  signal: AbortSignal,
  clock: Clock = systemClock,
): Promise<number> {
  if (from === 0) return journal.revision;
  const giveUpAt = clock.monotonic() + MAX_LAG_MS;
  while (journal.revision < from && !signal.aborted) {
    if (clock.monotonic() >= giveUpAt) throw neverReached(from, journal.revision);
    await pause(clock, LOOK_MS, signal);
  }
  return from;
}

const neverReached = (from: number, now: number): HiveError =>
  new HiveError('OUT_OF_RANGE', `revision ${from} lies in the future, the journal is at ${now}: list again`, {
    reason: 'FUTURE_REVISION',
  });
