import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';

/** Where an informer's items come from: a service's List and Watch methods. */
export interface InformerSource<T> {
  /** Everything there is, at one revision. */
  list(signal: AbortSignal): Promise<{ readonly items: readonly T[]; readonly revision: string }>;
  /** What came after `revision`; items may be told more than once. Ends or rejects when it cannot go on. */
  watch(revision: string, signal: AbortSignal): AsyncIterable<Change<T>>;
  keyOf(item: T): string;
}

export interface Change<T> {
  readonly revision: string;
  readonly changed: readonly T[];
  /** Keys of items that are gone. */
  readonly removed: readonly string[];
}

export interface InformerOptions<T> {
  readonly clock: Clock;
  /** Called with what was listed, and then with what changed; after a break an item may come unchanged. */
  readonly onItems?: (items: readonly T[]) => void;
  /** Called with the keys of items that a watch has told to be gone. */
  readonly onRemoved?: (keys: readonly string[]) => void;
  /** Called with the reason when it cannot follow; and with undefined when it is in step, or again. */
  readonly onStatus?: (error: HiveError | undefined) => void;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2000;

/** It begins an epoch and has no events, so whoever begins after it misses none. */
const FIRST_RECORD = '1';

/**
 * A copy of another service's list, kept up by List, then Watch: a watch that breaks is resumed from the revision it
 * had reached, and when that is no longer kept (COMPACTED) everything is listed again. While it cannot follow it
 * answers from what it has.
 */
export class Informer<T> implements AsyncDisposable {
  readonly #source: InformerSource<T>;
  readonly #options: InformerOptions<T>;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #items = new Map<string, T>();
  #synced = false;
  #following = false;

  constructor(source: InformerSource<T>, options: InformerOptions<T>) {
    this.#source = source;
    this.#options = options;
    this.#running = this.#run();
  }

  /** Has it listed at least once? */
  get synced(): boolean {
    return this.#synced;
  }

  get(key: string): T | undefined {
    return this.#items.get(key);
  }

  keys(): string[] {
    return [...this.#items.keys()];
  }

  /** Takes in an item that was heard of before the watch has told it. */
  learn(item: T): void {
    this.#items.set(this.#source.keyOf(item), item);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { clock, onStatus } = this.#options;
    let waitMs = FIRST_RETRY_MS;
    let from: string | undefined;
    while (!signal.aborted) {
      try {
        if (from === undefined) {
          from = await this.#list(signal);
          this.#inStep();
        }
        for await (const change of this.#source.watch(from, signal)) {
          this.#inStep();
          this.#take(change);
          from = change.revision;
          waitMs = FIRST_RETRY_MS;
        }
      } catch (cause) {
        if (signal.aborted) return;
        const error = HiveError.from(cause);
        this.#following = false;
        onStatus?.(error);
        // Whatever is not known to pass by itself may be the revision's fault: listing again is always right.
        if (!error.retryable) from = undefined;
      }
      await pause(clock, waitMs, signal);
      waitMs = Math.min(2 * waitMs, LAST_RETRY_MS);
    }
  }

  #inStep(): void {
    if (this.#following) return;
    this.#following = true;
    this.#options.onStatus?.(undefined);
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { items, revision } = await this.#source.list(signal);
    this.#items = new Map(items.map((item) => [this.#source.keyOf(item), item]));
    this.#synced = true;
    this.#options.onItems?.(items);
    // From 0 on would be from now on: a replica that has read nothing yet may have listed, another one be asked to watch.
    return revision === '0' ? FIRST_RECORD : revision;
  }

  #take({ changed, removed }: Change<T>): void {
    for (const item of changed) this.#items.set(this.#source.keyOf(item), item);
    for (const key of removed) this.#items.delete(key);
    if (removed.length > 0) this.#options.onRemoved?.(removed);
    this.#options.onItems?.(changed);
  }
}
