import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Shape } from '../protocol/machine.ts';
import type { Log, Observer, SnapshotStore } from './ports.ts';
import type { Replica } from './replica.ts';
import type { JournalSettings } from './settings.ts';
import { capture, isWhole, newestFirst, notReadBack, revisionOf } from './snapshots.ts';

export interface SnapshotKeeperDeps {
  readonly incarnation: string;
  readonly snapshots: SnapshotStore;
  readonly log: Log;
  readonly clock: Clock;
  readonly settings: JournalSettings;
  readonly observer: Observer;
}

/** Writes a snapshot when enough has been committed since the last one, and purges what it makes superfluous. */
export class SnapshotKeeper {
  readonly #deps: SnapshotKeeperDeps;
  #records = 0;
  #bytes = 0;
  #writing: Promise<void> | undefined;

  constructor(deps: SnapshotKeeperDeps) {
    this.#deps = deps;
  }

  /** Counts a record that was committed since the newest snapshot. */
  count(bytes: number): void {
    this.#records++;
    this.#bytes += bytes;
  }

  /** A state was loaded from the newest snapshot: counting begins anew. */
  reset(): void {
    this.#records = 0;
    this.#bytes = 0;
  }

  /** Begins a snapshot of the committed state when one is due. */
  writeWhenDue<M extends Shape>(replica: Replica<M>): void {
    const { settings, observer, clock, incarnation } = this.#deps;
    const due = this.#records >= settings.snapshotEveryRecords || this.#bytes >= settings.snapshotEveryBytes;
    if (!due || this.#writing) return;
    this.reset();
    this.#writing = capture(replica, incarnation, clock)
      .then((captured) => this.#store(captured))
      .then(() => observer.count('snapshot'))
      .catch((error) => observer.log('error', 'a snapshot was not written', { why: HiveError.from(error).message }))
      .finally(() => {
        this.#writing = undefined;
      });
  }

  /** Resolves when no snapshot is being written. */
  async idle(): Promise<void> {
    await this.#writing;
  }

  /**
   * Stores a snapshot, reads it back, keeps it and the newest good one before it, and purges the stream up to the older
   * of the two, but nothing younger than `retainMs`. Damaged ones are removed as they are found.
   */
  async #store({ name, content }: { name: string; content: Uint8Array }): Promise<void> {
    const { snapshots } = this.#deps;
    await snapshots.put(name, content);
    const good: string[] = [];
    for (const kept of newestFirst(await snapshots.names())) {
      const back = good.length < 2 ? await snapshots.get(kept) : undefined;
      if (back && isWhole(kept, back)) good.push(kept);
      else await snapshots.delete(kept);
    }
    if (!good.includes(name)) throw notReadBack(name);
    const [, before] = good;
    if (before !== undefined) await this.#purge(revisionOf(before));
  }

  async #purge(upTo: number): Promise<void> {
    const { log, clock, settings } = this.#deps;
    const young = await log.firstSince(clock.now() - settings.retainMs, upTo + 1);
    const { first } = await log.bounds();
    const last = Math.min(upTo, young - 1);
    if (last >= first) await log.purge(last);
  }
}
