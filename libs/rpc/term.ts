import { setMaxListeners } from 'node:events';
import type { HiveError } from '../kernel/errors.ts';

/** Deadlines are rounded up to this, in milliseconds: a server's need not be exact, its client keeps its own. */
const SLOT_MS = 50;
/** Callers use few time-outs, so that few slots are in use at a time. */
const MAX_SLOTS = 8;

/** The time that a call has: until a deadline, and the signal that aborts then, or when something else ends it. */
export class Term {
  /** By the server's clock, monotonic. */
  readonly deadline: number;
  #controller: AbortController | undefined;
  #reason: HiveError | undefined;

  constructor(deadline = Number.POSITIVE_INFINITY) {
    this.deadline = deadline;
  }

  /** Only made when somebody asks for it. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      setMaxListeners(0, this.#controller.signal);
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get isOver(): boolean {
    return this.#reason !== undefined;
  }

  abort(reason: HiveError): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/**
 * Terms for calls that nothing but their deadline, or the end of the server, cuts short: those that end at the same
 * time share one, since making a signal takes a fifth of what handling a call does.
 */
export class SharedTerms {
  readonly #recent: Term[] = [];

  of(now: number, timeoutMs: number): Term {
    const deadline = Math.ceil((now + timeoutMs) / SLOT_MS) * SLOT_MS;
    const known = this.#recent.find((term) => term.deadline === deadline);
    if (known) return known;
    const term = new Term(deadline);
    this.#recent.push(term);
    if (this.#recent.length > MAX_SLOTS) this.#recent.shift();
    return term;
  }
}
