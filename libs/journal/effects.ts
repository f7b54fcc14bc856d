import type { Clock } from '../kernel/clock.ts';
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
  }

  #begin(id: string): void {
    this.#owed.set(id, new Owed(this.#deps.epoch));
    const { notBefore } = this.#deps.table.get(id) as Effect;
    this.#later(id, notBefore - this.#deps.now());
  }

  #forget(id: string): void {
    const owed = this.#owed.get(id);
    this.#owed.delete(id);
    owed?.end();
  }

  /** Puts it in line after `ms`. What waits for its time holds no place that another could have. */
  #later(id: string, ms: number): void {
    const owed = this.#owed.get(id);
    if (!owed) return;
    if (ms <= 0) {
      this.#ready.push(id);
      return;
    }
    owed.timer = this.#deps.clock.after(ms, () => {
      this.#ready.push(id);
      this.#next();
    });
  }

  #next(): void {
    while (this.#performing < this.#deps.maxEffects && this.#ready.length > 0 && !this.#ended) {
      const id = this.#ready.shift() as string;
      const owed = this.#owed.get(id);
      const effect = this.#deps.table.get(id);
      if (!owed || !effect) continue;
      this.#performing++;
      void this.#perform(effect, owed).then((againMs) => {
        this.#performing--;
        if (!this.#ended && this.#owed.get(id) === owed) this.#later(id, againMs);
        this.#next();
      });
    }
  }

  /** Tries once; answers after how many ms to try again. */
  async #perform(effect: Effect, owed: Owed): Promise<number> {
    const { observer, perform, rng } = this.#deps;
    try {
      const againMs = await perform(effect, owed);
      observer.count('effect');
      if (againMs) return againMs;
    } catch (error) {
      if (!owed.isOver) {
        observer.count('effect-failed');
        observer.log('debug', 'an effect failed and will be tried again', { effect: effect.id, error: String(error) });
      }
    }
    const backoffMs = Math.min(FIRST_RETRY_MS * 2 ** owed.attempts++, LAST_RETRY_MS);
    return backoffMs / 2 + rng() * backoffMs;
  }
}

/** An effect whose row is there. */
class Owed implements Fence {
  readonly epoch: number;
  attempts = 0;
  /** Runs while it waits for its time. */
  timer: Disposable | undefined;
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
    this.timer?.[Symbol.dispose]();
    this.#control?.abort(OVER); // a reason of our own: else each abort makes an exception with its stack
  }
}
