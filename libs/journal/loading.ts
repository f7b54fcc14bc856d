import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Log, Observer, SnapshotStore } from './ports.ts';
import type { Replica } from './replica.ts';
import type { JournalSettings } from './settings.ts';
import { load } from './snapshots.ts';

export interface LoadingDeps<M extends Shape> {
  readonly machine: Machine<M>;
  readonly incarnation: string;
  readonly log: Log;
  readonly snapshots: SnapshotStore;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly settings: JournalSettings;
}

/** What a load finds when stream and snapshots do not fit. */
const MISFITS: ReadonlySet<string> = new Set(['STREAM_BEHIND_SNAPSHOT', 'NO_SNAPSHOT']);

/** A leader that was cut off steps down after 10 s without the others. */
const STALE_LEADER_MS = 20_000;

/** Loads the state, again and again where it must be: from the newest good snapshot, as far as the stream goes. */
export class Loading<M extends Shape> {
  readonly #deps: LoadingDeps<M>;
  /** Since when stream and snapshots do not seem to fit, by the monotonic clock. */
  #misfitSince: number | undefined;

  constructor(deps: LoadingDeps<M>) {
    this.#deps = deps;
  }

  /** Throws DATA_LOSS when the stream ends before the snapshot. */
  async load(): Promise<Replica<M>> {
    const { machine, incarnation, snapshots, log, observer } = this.#deps;
    const replica = await load(machine, incarnation, snapshots, log, observer);
    const { last } = await log.bounds();
    if (last < replica.seq) {
      throw new HiveError(
        'DATA_LOSS',
        `the journal of ${machine.service} ends at record ${last}, before its own snapshot of record ${replica.seq}: ` +
          'restore the stream from a backup, or remove the stream and its snapshots to begin anew',
        { reason: 'STREAM_BEHIND_SNAPSHOT' },
      );
    }
    this.#misfitSince = undefined;
    return replica;
  }

  /**
   * Stream and snapshots have leaders of their own on a cluster. One that was cut off answers from what it had, so that
   * they may seem not to fit: that counts when it lasts longer than such a leader.
   */
  mayBeStale({ reason }: HiveError): boolean {
    const { clock, settings } = this.#deps;
    if (settings.replicas === 1 || !MISFITS.has(reason ?? '')) return false;
    this.#misfitSince ??= clock.monotonic();
    return clock.monotonic() - this.#misfitSince < STALE_LEADER_MS;
  }
}
