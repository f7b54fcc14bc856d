import type { Shape } from '../protocol/machine.ts';
import type { Committed } from './journal.ts';

/**
 * The newest committed records, for watchers: one ring for all of them instead of a queue for each. A watcher pulls at
 * its own pace; one that falls behind the ring reads the stream, so that slow watchers cost no memory.
 */
export class Recent<M extends Shape> {
  readonly #limit: number;
  #records: Committed<M>[] = [];
  /** Everything after this revision is in the ring. */
  #floor = 0;
  /** The last committed revision. */
  #revision = 0;
  #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get floor(): number {
    return this.#floor;
  }

  get revision(): number {
    return this.#revision;
  }

  /** Begins at `revision`, when a state was loaded; keeps what it has when that is as new or newer. */
  reset(revision: number): void {
    if (revision <= this.#revision) return;
    this.#records = [];
    this.#floor = revision;
    this.#advance(revision);
  }

  /** Adds what was committed up to `revision`. False when it was known already: a reload comes by it again. */
  add(revision: number, committed: Committed<M> | undefined): boolean {
    if (revision <= this.#revision) return false;
    if (committed) {
      this.#records.push(committed);
      if (this.#records.length >= 2 * this.#limit) {
        const dropped = this.#records.splice(0, this.#records.length - this.#limit);
        this.#floor = (dropped.at(-1) as Committed<M>).revision;
      }
    }
    this.#advance(revision);
    return true;
  }

  /** Records after `from`, oldest first; undefined when `from` lies before the ring. */
  after(from: number): readonly Committed<M>[] | undefined {
    if (from < this.#floor) return undefined;
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#records[middle] as Committed<M>).revision <= from) low = middle + 1;
      else high = middle;
    }
    return this.#records.slice(low);
  }

  /** Resolves when something after `revision` is committed, or when `signal` aborts. */
  async past(revision: number, signal: AbortSignal): Promise<void> {
    while (this.#revision <= revision && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#waiting.push(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
  }

  #advance(revision: number): void {
    this.#revision = revision;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
