import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Changes } from './changes.ts';
import type { Entry, LeaderLine, Log, Probe } from './ports.ts';
import type { JournalSettings } from './settings.ts';

export interface StandbyDeps {
  readonly log: Log;
  readonly line: LeaderLine;
  readonly clock: Clock;
  readonly settings: JournalSettings;
  readonly changes: Pick<Changes, 'next'>;
  /** The last sequence that was taken. */
  seq(): number;
  /** The epoch that is current there. */
  epoch(): number;
  /** Takes the next entry; throws what stops the journal. */
  take(entry: Entry): void;
  /** Everything up to `known` and up to the stream's end is taken: the state may be read. */
  caughtUp(): void;
  /** Somebody leads, or nobody is heard to. */
  leaderHeard(alive: boolean): void;
}

/**
 * Follows the journal until it is time to campaign (true) or `closing` aborts (false). Rejects when it cannot go on:
 * with UNAVAILABLE when the state must be loaded again, with DATA_LOSS when that would not help.
 */
export async function standby(deps: StandbyDeps, known: number, closing: AbortSignal): Promise<boolean> {
  if (closing.aborted) return false;
  const over = new AbortController();
  const until = AbortSignal.any([over.signal, closing]);
  try {
    return await new Promise<boolean>((resolve, reject) => {
      closing.addEventListener('abort', () => resolve(false), { signal: over.signal });
      const following = deps.log.follow(deps.seq(), (entry) => takeNext(deps, entry, reject), reject);
      over.signal.addEventListener('abort', () => following[Symbol.dispose]());
      catchUp(deps, known, until).then((done) => done && keepProbing(deps, until, () => resolve(true)), reject);
    });
  } finally {
    over.abort();
  }
}

function takeNext(deps: StandbyDeps, entry: Entry, reject: (error: HiveError) => void): void {
  const seq = deps.seq();
  if (entry.seq <= seq) return;
  try {
    if (entry.seq !== seq + 1) throw gap(seq, entry.seq);
    deps.take(entry);
  } catch (error) {
    reject(HiveError.from(error));
  }
}

/** Resolves when everything is taken that was there at the call, or told before; false when it is over first. */
async function catchUp(deps: StandbyDeps, known: number, signal: AbortSignal): Promise<boolean> {
  const { last } = await deps.log.bounds();
  const target = Math.max(last, known);
  while (deps.seq() < target && !signal.aborted) await deps.changes.next(signal);
  if (signal.aborted) return false;
  deps.caughtUp();
  return true;
}

/** Asks at intervals whether somebody leads; the probes overlap, since one to a dying leader hangs. */
function keepProbing(deps: StandbyDeps, signal: AbortSignal, campaign: () => void): void {
  const { clock, line, settings } = deps;
  let missed = 0;
  const heard = (probe: Probe, epoch: number) => {
    // A new epoch since the probe was sent: its leader may not have been listening yet.
    if (signal.aborted || epoch !== deps.epoch()) return;
    if (probe === 'alive' || probe === 'deaf') missed = 0;
    else missed++;
    const gone = probe === 'none' || missed >= settings.missedProbes;
    if (probe === 'alive' || gone) deps.leaderHeard(!gone);
    if (gone) campaign();
  };
  const probe = () => {
    if (signal.aborted) return;
    const epoch = deps.epoch();
    void line.probe(epoch, settings.probeTimeoutMs).then((answer) => heard(answer, epoch));
    clock.after(settings.probeMs, probe);
  };
  probe();
}

const gap = (after: number, seq: number): HiveError =>
  new HiveError('UNAVAILABLE', `record ${seq} follows ${after}: the stream was purged meanwhile`, { reason: 'GAP' });
