import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError, notFound, quote } from '../kernel/errors.ts';
import { isName } from '../kernel/names.ts';

/** The federation that is always there, and whose registry knows the others. */
export const MAIN_FEDERATION = 'main';

export interface FederationHostOptions<U> {
  /** Opens a federation's unit (its journal and what belongs to it). Tried again, with backoff, when it fails. */
  readonly open: (federation: string, signal: AbortSignal) => Promise<U>;
  /** Names of all federations; when it fails, the last answer holds. Left out: there is only `main`. */
  readonly list?: (signal: AbortSignal) => Promise<readonly string[]>;
  /** How often `list` is asked without a reason, in milliseconds; default 5000. */
  readonly refreshMs?: number;
  readonly log?: (level: 'info' | 'warn', message: string, fields: object) => void;
  readonly clock?: Clock;
}

interface Slot<U> {
  readonly closing: AbortController;
  /** Resolves when it is open; rejects when it was closed first. */
  readonly opening: Promise<U>;
  unit?: U;
  /** Why it could not be opened, last time. */
  failure?: HiveError;
  /** Called with a failure that does not pass by itself. */
  readonly onStuck: Set<(failure: HiveError) => void>;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5000;
/** Requests for federations that are not open yet, at once; more are refused. */
const MAX_AWAITING = 256;
const MAX_AWAIT_MS = 5000;

/** Keeps one unit per federation: opened when the federation appears in the list, closed when it is gone. */
export class FederationHost<U extends AsyncDisposable> implements AsyncDisposable {
  readonly #options: FederationHostOptions<U>;
  readonly #clock: Clock;
  readonly #slots = new Map<string, Slot<U>>();
  readonly #stopping = new AbortController();
  readonly #following: Promise<void>;
  #refreshing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #awaiting = 0;

  constructor(options: FederationHostOptions<U>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#open(MAIN_FEDERATION);
    this.#following = this.#follow();
  }

  /**
   * A federation's unit.
   * @throws HiveError NOT_FOUND naming those that are known; UNAVAILABLE while it is being opened.
   */
  get(federation: string): U {
    const slot = this.#slots.get(federation);
    if (slot?.unit) return slot.unit;
    if (slot) throw new HiveError('UNAVAILABLE', notOpen(federation, slot.failure), { retryAfterMs: 100 });
    throw notFound('federation', federation, `known: ${[...this.#slots.keys()].sort().join(', ')}`);
  }

  /** Like `get`, but waits while it is being opened, and asks for the list once more before it says NOT_FOUND. */
  async opened(federation: string, signal?: AbortSignal): Promise<U> {
    if (!this.#slots.has(federation)) await this.refresh();
    const slot = this.#slots.get(federation);
    return slot && !slot.unit ? abortable(slot.opening, signal) : this.get(federation);
  }

  /**
   * Resolves when `main` is open. Unless it is to `insist`, it rejects with the first failure that does not pass by
   * itself: a full disk, a journal that does not fit. Opening goes on all the same.
   */
  async ready(signal?: AbortSignal, insist = true): Promise<void> {
    const slot = this.#slots.get(MAIN_FEDERATION);
    if (!slot || insist) return void (await this.opened(MAIN_FEDERATION, signal));
    const stuck = new AbortController();
    const onStuck = (failure: HiveError) => stuck.abort(failure);
    slot.onStuck.add(onStuck);
    const either = signal ? AbortSignal.any([signal, stuck.signal]) : stuck.signal;
    await this.opened(MAIN_FEDERATION, either).finally(() => slot.onStuck.delete(onStuck));
  }

  /** Why `main` is not served; undefined when it is. */
  check(): string | undefined {
    const slot = this.#slots.get(MAIN_FEDERATION);
    return slot?.unit ? undefined : notOpen(MAIN_FEDERATION, slot?.failure);
  }

  /**
   * Resolves when it may be there though `get` throws: when it has been opened, or the list was asked once more. Undefined
   * when there is nothing to wait for, or too many wait already. Never rejects.
   */
  awaited(federation: string): Promise<void> | undefined {
    if (this.#slots.get(federation)?.unit || !isName(federation) || this.#awaiting >= MAX_AWAITING) return undefined;
    this.#awaiting++;
    const until = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(MAX_AWAIT_MS)]);
    return this.opened(federation, until)
      .then(
        () => {},
        () => {}, // who asks next is told why
      )
      .finally(() => {
        this.#awaiting--;
      });
  }

  /** Those that are open, by federation. */
  units(): [federation: string, unit: U][] {
    return [...this.#slots].flatMap(([federation, { unit }]) => (unit ? [[federation, unit]] : []));
  }

  /** Asks for the list now: somebody said that it has changed. Never rejects. */
  refresh(): Promise<void> {
    // The one under way may have looked before the change.
    if (this.#refreshing) {
      this.#next ??= this.#refreshing.then(() => {
        this.#next = undefined;
        return this.refresh();
      });
      return this.#next;
    }
    this.#refreshing = this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#following;
    await (this.#next ?? this.#refreshing);
    await Promise.all([...this.#slots.keys()].map((federation) => this.#close(federation)));
  }

  async #follow(): Promise<void> {
    await undefined; // whoever made this may ask it in `list`
    const { signal } = this.#stopping;
    while (this.#options.list && !signal.aborted) {
      await this.refresh();
      await pause(this.#clock, this.#options.refreshMs ?? 5000, signal);
    }
  }

  async #refresh(): Promise<void> {
    const { list, log } = this.#options;
    const { signal } = this.#stopping;
    if (!list || signal.aborted) return;
    try {
      const wanted = new Set([MAIN_FEDERATION, ...(await list(signal))]);
      if (signal.aborted) return;
      for (const federation of wanted) this.#open(federation);
      const gone = [...this.#slots.keys()].filter((federation) => !wanted.has(federation));
      await Promise.all(gone.map((federation) => this.#close(federation)));
    } catch (error) {
      if (!signal.aborted) log?.('warn', 'cannot list federations', { err: error });
    }
  }

  #open(federation: string): void {
    if (this.#slots.has(federation)) return;
    const closing = new AbortController();
    const onStuck: Slot<U>['onStuck'] = new Set();
    const failed = (failure: HiveError) => this.#onFailure(federation, slot, failure);
    const slot: Slot<U> = { closing, onStuck, opening: this.#keepOpening(federation, closing.signal, failed) };
    this.#slots.set(federation, slot);
    slot.opening.then(
      (unit) => {
        slot.unit = unit;
      },
      () => {}, // closed before it was open; who waits for it is told
    );
  }

  async #keepOpening(federation: string, signal: AbortSignal, failed: (failure: HiveError) => void): Promise<U> {
    const { open, log } = this.#options;
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(2 * wait, LAST_RETRY_MS)) {
      try {
        const unit = await open(federation, signal);
        log?.('info', 'federation opened', { federation });
        return unit;
      } catch (error) {
        if (!signal.aborted) failed(HiveError.from(error));
        await pause(this.#clock, wait, signal);
        if (signal.aborted)
          throw new HiveError('UNAVAILABLE', `federation ${quote(federation)} is closed`, { cause: error });
      }
    }
  }

  /** Each failure is told once, not each time that it was tried. */
  #onFailure(federation: string, slot: Slot<U>, failure: HiveError): void {
    const isNew = slot.failure?.message !== failure.message;
    slot.failure = failure;
    if (isNew) {
      this.#options.log?.('warn', 'cannot open federation, will try again until it can', { federation, err: failure });
    }
    if (!failure.retryable && failure.code !== 'INTERNAL') for (const onStuck of slot.onStuck) onStuck(failure);
  }

  async #close(federation: string): Promise<void> {
    const slot = this.#slots.get(federation);
    if (!slot) return;
    this.#slots.delete(federation);
    slot.closing.abort();
    const unit = await slot.opening.catch(() => undefined);
    await unit?.[Symbol.asyncDispose]();
  }
}

const notOpen = (federation: string, failure: HiveError | undefined): string =>
  `federation ${quote(federation)} ${failure ? `cannot be opened: ${failure.message}` : 'is being opened'}`;

function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const give = () => reject(HiveError.from(signal.reason));
    if (signal.aborted) give();
    signal.addEventListener('abort', give, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', give));
  });
}
