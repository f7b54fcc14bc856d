import { offAbort, onAbort } from '../kernel/aborts.ts';
import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import type { Lease, RequestAgentRequest, RequestAgentResponse } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';

/** What asking needs of a connection. */
export interface Asked {
  readonly pool: Pick<Hive['pool'], 'requestAgent' | 'withdrawAgentRequest' | 'releaseLease'>;
}

/**
 * What became of a request that is no longer wanted: it is taken back; it had won a lease, which is released; it had been
 * refused; or nobody knows, since nobody answered in time: then it may wait on.
 */
export type GivenUp =
  | { readonly kind: 'withdrawn' | 'refused' }
  | { readonly kind: 'released'; readonly lease: Lease | undefined }
  | { readonly kind: 'unknown'; readonly error: HiveError };

/** Besides `waitMs`, for the call itself, in milliseconds. */
const CALL_MS = 10_000;
/** How long giving up may take, in milliseconds. */
const GIVE_UP_MS = 5000;
/** A request that is neither known nor answered is on its way: it is looked for again after so long, in milliseconds. */
const LOOK_AGAIN_MS = 100;

const PREFIX = 'request-';

/**
 * A request for an agent, from its sending until it is answered or given up. It waits in the pool: whoever only stops
 * listening may win a lease that nobody takes. Its id is chosen here, so that it can be taken back whether or not it has
 * arrived, and a lease that it has won is known by its name.
 */
export class Asking {
  readonly id: string;
  /** RESOURCE_EXHAUSTED when none is free, at once or after `waitMs`. */
  readonly answer: Promise<RequestAgentResponse>;
  readonly #hive: Asked;
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #isAnswered = false;

  constructor(hive: Asked, request: Partial<RequestAgentRequest>, clock: Clock) {
    this.#hive = hive;
    this.#clock = clock;
    this.id = request.id || PREFIX + randomId(12);
    const { signal } = this.#over;
    // The call ends after the request that it waits for.
    const options = request.waitMs ? { timeoutMs: request.waitMs + CALL_MS, signal } : { signal };
    this.answer = hive.pool.requestAgent({ ...request, id: this.id }, options);
    const answered = () => {
      this.#isAnswered = true;
    };
    this.answer.then(answered, answered);
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** Resolves when it is answered, to false, or when `signal` aborts before, to true. */
  isAborted(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const aborted = () => resolve(!this.#isAnswered);
      if (signal.aborted) aborted();
      onAbort(signal, aborted);
      const answered = () => {
        offAbort(signal, aborted);
        resolve(false);
      };
      this.answer.then(answered, answered);
    });
  }

  /** Takes it back, and gives back what it has won meanwhile. Takes five seconds at most, and never rejects. */
  async giveUp(): Promise<GivenUp> {
    const until = this.#clock.monotonic() + GIVE_UP_MS;
    let error = new HiveError('DEADLINE_EXCEEDED', `nobody answered within ${GIVE_UP_MS} ms`);
    for (;;) {
      const timeoutMs = Math.ceil(until - this.#clock.monotonic());
      if (timeoutMs < 1) break;
      const wasAnswered = this.#isAnswered;
      try {
        const undone = await this.#undo(timeoutMs);
        if (undone) return undone;
        if (wasAnswered) return { kind: 'refused' };
      } catch (cause) {
        error = HiveError.from(cause);
        if (!error.retryable && error.code !== 'DEADLINE_EXCEEDED') break;
      }
      await pause(this.#clock, LOOK_AGAIN_MS);
    }
    this.#over.abort();
    return { kind: 'unknown', error };
  }

  /** Undefined when it neither waits nor has a lease. */
  async #undo(timeoutMs: number): Promise<GivenUp | undefined> {
    const { pool } = this.#hive;
    if (await orNotFound(pool.withdrawAgentRequest({ id: this.id }, { timeoutMs }))) return { kind: 'withdrawn' };
    const lease = `lease-${this.id.slice(PREFIX.length)}`;
    const released = await orNotFound(pool.releaseLease({ lease }, { timeoutMs }));
    return released && { kind: 'released', lease: released.lease };
  }
}

/** Undefined for NOT_FOUND. */
async function orNotFound<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (cause) {
    const error = HiveError.from(cause);
    if (error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
