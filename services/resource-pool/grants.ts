import type { Committed, Journal } from '../../libs/journal/journal.ts';
import { type Clock, pause } from '../../libs/kernel/clock.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { describePrincipal } from '../../libs/protocol/principal.ts';
import type { RequestAgentResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolShape } from './core/state.ts';

/** How a request for an agent ended: a lease, or why there is none. */
type End = { readonly lease: string; readonly revision: number } | HiveError;

/** Calls that may wait here at once: a third of what a server works on, so that there is room for others. */
const MAX_WAITING = 2048;
/** The same for one principal. */
const MAX_WAITING_OF_ONE = 1024;
const TRY_AGAIN_MS = 2000;

/** So often who waits looks whether its request is still there: a replica that was loaded again tells no listener. */
const LOOK_MS = 10_000;

/**
 * Answers requests for agents: at once, or when they no longer wait. It is the journal that waits, and not the call:
 * whoever asks again under the same request id, of any replica, waits for the same request.
 *
 * Thousands may wait. So one listener looks at what is committed, for all of them: a watch for each would look at every
 * event as many times as there are calls that wait.
 */
export class Grants implements Disposable {
  readonly #journal: Journal<PoolShape>;
  readonly #clock: Clock;
  /** By request; several calls may wait for the same one. */
  readonly #waiting = new Map<string, Set<(end: End) => void>>();
  /** Calls that wait, by principal. */
  readonly #callers = new Map<string, number>();
  #calls = 0;
  readonly #following: Disposable;

  constructor(journal: Journal<PoolShape>, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
    this.#following = journal.onCommitted((committed) => this.#onCommitted(committed));
  }

  [Symbol.dispose](): void {
    this.#following[Symbol.dispose]();
  }

  /** Refuses with RESOURCE_EXHAUSTED, retryable, when too many wait already: in the journal the request goes on waiting. */
  awaited(answer: RequestAgentResponse, call: Call): RequestAgentResponse | Promise<RequestAgentResponse> {
    const { request, lease } = answer;
    return lease || request === '' ? answer : this.#granted(answer, call);
  }

  async #granted(answer: RequestAgentResponse, call: Call): Promise<RequestAgentResponse> {
    const { request } = answer;
    using _ = this.#place(describePrincipal(call.principal));
    const end = await this.#end(request, Number(answer.revision), call.signal);
    if (end instanceof HiveError) throw end;
    const options = { minRevision: end.revision };
    return { ...(await this.#journal.query('grantedLease', { lease: end.lease }, call, options)), request };
  }

  #place(principal: string): Disposable {
    const own = this.#callers.get(principal) ?? 0;
    if (own >= MAX_WAITING_OF_ONE) throw tooMany(`${own} calls of ${principal} wait`);
    if (this.#calls >= MAX_WAITING) throw tooMany(`${this.#calls} calls wait`);
    this.#calls++;
    this.#callers.set(principal, own + 1);
    const leave = () => {
      this.#calls--;
      const left = (this.#callers.get(principal) ?? 0) - 1;
      if (left > 0) this.#callers.set(principal, left);
      else this.#callers.delete(principal);
    };
    return disposable(leave);
  }

  async #end(request: string, since: number, signal: AbortSignal): Promise<End> {
    const { promise, resolve } = deferred<End>();
    using _ = this.#listen(request, resolve);
    // Before the listening began it may have ended already.
    for (let from = since; !signal.aborted; ) {
      const upTo = this.#journal.revision;
      const past = upTo > from ? await this.#lookBack(request, from, upTo, signal) : undefined;
      if (past) return past;
      from = Math.max(from, upTo);
      const end = await this.#told(request, promise, signal);
      if (end) return end;
    }
    // The call is over, or this server stops: then the caller asks another, under the same request id.
    throw HiveError.from(signal.reason);
  }

  /** Undefined when the signal aborts, or the request is gone and nobody has said how it ended. */
  async #told(request: string, promise: Promise<End>, signal: AbortSignal): Promise<End | undefined> {
    do {
      const over = new AbortController();
      const either = AbortSignal.any([signal, over.signal]);
      const end = await Promise.race([promise, pause(this.#clock, LOOK_MS, either)]);
      over.abort();
      if (end) return end;
    } while (!signal.aborted && this.#journal.state.requests.committed(request));
    return undefined;
  }

  async #lookBack(request: string, from: number, upTo: number, signal: AbortSignal): Promise<End | undefined> {
    for await (const committed of this.#journal.watch(from, signal, upTo)) {
      for (const [id, end] of endsOf(committed)) if (id === request) return end;
    }
    return undefined;
  }

  #listen(request: string, listener: (end: End) => void): Disposable {
    const listeners = this.#waiting.get(request) ?? new Set();
    this.#waiting.set(request, listeners.add(listener));
    const leave = () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#waiting.get(request) === listeners) this.#waiting.delete(request);
    };
    return disposable(leave);
  }

  #onCommitted(committed: Committed<PoolShape>): void {
    if (this.#waiting.size === 0) return;
    for (const [request, end] of endsOf(committed)) {
      for (const listener of this.#waiting.get(request) ?? []) listener(end);
    }
  }
}

function* endsOf({ revision, events }: Committed<PoolShape>): Generator<[request: string, end: End]> {
  for (const { type, data } of events) {
    if (type === 'lease.granted') yield [data.request, { lease: data.lease, revision }];
    if (type === 'request.ended') yield [data.request, ended(data.withdrawn, data.reason)];
  }
}

/** Not retryable, as when it is refused at once: whether to wait again is the borrower's to decide. */
const ended = (withdrawn: boolean, reason: string): HiveError =>
  withdrawn
    ? new HiveError('CANCELLED', `the request was ${reason}`, { reason: 'REQUEST_WITHDRAWN' })
    : new HiveError('RESOURCE_EXHAUSTED', reason, { retryable: false, reason: 'NO_AGENT_FREE' });

const tooMany = (what: string): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `${what} for an agent here, which is the limit: ask again with the same request id`,
    {
      ...{ retryable: true, retryAfterMs: TRY_AGAIN_MS, reason: 'TOO_MANY_WAIT' },
    },
  );

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
