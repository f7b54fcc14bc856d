import { disposable } from '../kernel/disposable.ts';
import type { Shape } from '../protocol/machine.ts';
import type { Committed } from './journal.ts';
import { Recent } from './recent.ts';
import type { EpochMark, Replica } from './replica.ts';
import type { JournalSettings } from './settings.ts';

/** What this replica knows to be committed, however often its state is loaded again; and who hears of it. */
export class History<M extends Shape> {
  readonly recent: Recent<M>;
  readonly #listeners = new Set<(committed: Committed<M>) => void>();
  #marks: readonly EpochMark[] = [];

  constructor({ recentRecords, recentBytes }: Pick<JournalSettings, 'recentRecords' | 'recentBytes'>) {
    this.recent = new Recent(recentRecords, recentBytes);
  }

  get revision(): number {
    return this.recent.revision;
  }

  /** Epochs of the committed state, also while it is being loaded again. */
  get marks(): readonly EpochMark[] {
    return this.#marks;
  }

  onCommitted(listener: (committed: Committed<M>) => void): Disposable {
    this.#listeners.add(listener);
    return disposable(() => void this.#listeners.delete(listener));
  }

  loaded(replica: Replica<M>): void {
    this.recent.reset(replica.seq);
    this.#note(replica);
  }

  /** `replica` has taken what was committed up to `revision`; `bytes`: of its record. */
  add(replica: Replica<M>, revision: number, committed: Committed<M> | undefined, bytes: number): void {
    this.#note(replica);
    const isNews = this.recent.add(revision, committed, bytes);
    if (isNews && committed) for (const listener of this.#listeners) listener(committed);
  }

  /** Keeps the newest epochs: a replica that is loaded again comes by older ones, and watchers go on meanwhile. */
  #note({ epoch, marks }: Replica<M>): void {
    if (epoch.seq >= (this.#marks.at(-1)?.seq ?? 0)) this.#marks = marks;
  }
}
