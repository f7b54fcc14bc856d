import type { Shape } from '../protocol/machine.ts';
import type { Committed } from './journal.ts';

/**
 * The newest committed records, for watchers: one ring for all of them instead of a queue for each. A watcher pulls at
 * its own pace; one that falls behind the ring reads the stream, so that slow watchers cost no memory.
 */
export class Recent<M extends Shape> {
  readonly #limit: number;
  readonly #maxBytes: number;
  #records: Committed<M>[] = [];
  /** Of each record's events as JSON, and of all together. */
  #sizes: number[] = [];
  #bytes = 0;
  /** Everything after this revision is in the ring. */
  #floor = 0;
  /** The last committed revision. */
  #revision = 0;
  #waiting: (() => void)[] = [];

  /** Keeps `limit` records, or the newest that take `maxBytes`; up to twice as much until it clears up. */
  constructor(limit: number, maxBytes: number) {
    this.#limit = limit;
    this.#maxBytes = maxBytes;
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
    this.#sizes = [];
    this.#bytes = 0;
    this.#floor = revision;
    this.#advance(revision);
  }

  /** Adds what was committed up to `revision`. False when it was known already: a reload comes by it again. */
  add(revision: number, committed: Committed<M> | undefined, bytes: number): boolean {
    if (revision <= this.#revision) return false;
    if (committed) {
      this.#records.push(committed);
      this.#sizes.push(bytes);
      this.#bytes += bytes;
      if (this.#records.length >= 2 * this.#limit || this.#bytes >= 2 * this.#maxBytes) this.#clearUp();
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

  #clearUp(): void {
    let drop = Math.max(0, this.#records.length - this.#limit);
    for (let i = 0; i < drop; i++) this.#bytes -= this.#sizes[i] as number;
    for (; this.#bytes > this.#maxBytes; drop++) this.#bytes -= this.#sizes[drop] as number;
    this.#floor = (this.#records[drop - 1] as Committed<M>).revision;
    this.#records.splice(0, drop);
    this.#sizes.splice(0, drop);
  }

  #advance(revision: number): void {
    this.#revision = revision;
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
