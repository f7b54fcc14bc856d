import type { Clock } from '../kernel/clock.ts';
import { DueQueue } from '../kernel/due-queue.ts';
import type { Rng } from '../kernel/rng.ts';
import type { Table } from '../kernel/table.ts';
import type { Effect } from '../protocol/machine.ts';
import type { Observer } from './ports.ts';

/** What targets check: they refuse an epoch older than one that they have seen. */
export interface Fence {
  readonly epoch: number;
  /** The leader has stopped leading, or the effect is no longer owed. */
  readonly isOver: boolean;
  /** Aborts when it is over. Made when it is asked for: most effects are done without. */
  readonly signal: AbortSignal;
}

/** Does an effect once; answers after how many ms it is worth another try if its row is still there then. */
export type Perform = (effect: Effect, fence: Fence) => Promise<number | undefined>;

export interface EffectsDeps {
  readonly table: Table<Effect>;
  readonly perform: Perform;
  readonly epoch: number;
  readonly now: () => number;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly maxEffects: number;
  readonly observer: Observer;
}

const OVER = 'the effect is owed no more';
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 10_000;

/**
 * Does what the state says is owed to the outside: every row of the effects table, after it was committed, at least
 * once, again with backoff while the row is there. A command takes the row away when it is done. It runs only on the
 * leader and only in its epoch.
 */
export class Effects {
  readonly #deps: EffectsDeps;
  readonly #owed = new Map<string, Owed>();
  readonly #ready: string[] = [];
  /** Those that wait for their time, by the monotonic clock; one timer for the first. */
  readonly #due = new DueQueue();
  #timer: Disposable | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #performing = 0;
  #ended = false;

  constructor(deps: EffectsDeps) {
    this.#deps = deps;
    deps.table.track();
    this.committed();
  }

  /** Looks at what the last commit changed. */
  committed(): void {
    for (const id of this.#deps.table.drainChanged()) {
      if (!this.#deps.table.has(id)) this.#forget(id);
      else if (!this.#owed.has(id)) this.#begin(id);
    }
    this.#next();
  }

  end(): void {
    this.#ended = true;
    for (const id of [...this.#owed.keys()]) this.#forget(id);
    this.#timer?.[Symbol.dispose]();
  }

  #begin(id: string): void {
    this.#owed.set(id, new Owed(this.#deps.epoch));
    const { notBefore } = this.#deps.table.get(id) as Effect;
    this.#later(id, notBefore - this.#deps.now());
  }

  #forget(id: string): void {
    const owed = this.#owed.get(id);
    this.#owed.delete(id);
    this.#due.delete(id);
    owed?.end();
  }

  /** Puts it in line after `ms`. What waits for its time holds no place that another could have. */
  #later(id: string, ms: number): void {
    if (!this.#owed.has(id)) return;
    if (ms <= 0) {
      this.#ready.push(id);
      return;
    }
    const at = this.#deps.clock.monotonic() + ms;
    this.#due.set(id, at);
    if (at < this.#timerAt) this.#wakeAt(at, ms);
  }

  #wakeAt(at: number, ms: number): void {
    this.#timer?.[Symbol.dispose]();
    this.#timerAt = at;
    this.#timer = this.#deps.clock.after(ms, () => this.#wake());
  }

  /** Timers may run a little early: then it waits for the rest. */
  #wake(): void {
    const now = this.#deps.clock.monotonic();
    for (const id of this.#due.allDue(now, Number.POSITIVE_INFINITY)) {
      this.#due.delete(id);
      this.#ready.push(id);
    }
    const next = this.#due.peek();
    this.#timerAt = Number.POSITIVE_INFINITY;
    if (next !== undefined) this.#wakeAt(next, Math.max(1, next - now));
    this.#next();
  }

  #next(): void {
    while (this.#performing < this.#deps.maxEffects && this.#ready.length > 0 && !this.#ended) {
      const id = this.#ready.shift() as string;
      const owed = this.#owed.get(id);
      const effect = this.#deps.table.get(id);
      if (!owed || !effect) continue;
      this.#performing++;
      this.#deps.perform(effect, owed).then(
        (againMs) => {
          this.#deps.observer.count('effect');
          this.#performed(id, owed, againMs || this.#backoffMs(owed));
        },
        (error: unknown) => {
          this.#failed(effect, owed, error);
          this.#performed(id, owed, this.#backoffMs(owed));
        },
      );
    }
  }

  /** It was tried once, and is worth another try after so many ms if its row is still there then. */
  #performed(id: string, owed: Owed, againMs: number): void {
    this.#performing--;
    if (!this.#ended && this.#owed.get(id) === owed) this.#later(id, againMs);
    this.#next();
  }

  #failed(effect: Effect, owed: Owed, error: unknown): void {
    if (owed.isOver) return;
    const { observer } = this.#deps;
    observer.count('effect-failed');
    observer.log('debug', 'an effect failed and will be tried again', { effect: effect.id, error: String(error) });
  }

  #backoffMs(owed: Owed): number {
    const backoffMs = Math.min(FIRST_RETRY_MS * 2 ** owed.attempts++, LAST_RETRY_MS);
    return backoffMs / 2 + this.#deps.rng() * backoffMs;
  }
}

/** An effect whose row is there. */
class Owed implements Fence {
  readonly epoch: number;
  attempts = 0;
  #isOver = false;
  #control: AbortController | undefined;

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get signal(): AbortSignal {
    this.#control ??= new AbortController();
    if (this.#isOver) this.#control.abort(OVER);
    return this.#control.signal;
  }

  end(): void {
    this.#isOver = true;
    this.#control?.abort(OVER); // a reason of our own: else each abort makes an exception with its stack
  }
}
