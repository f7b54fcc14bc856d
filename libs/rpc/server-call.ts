import type { HiveError } from '../kernel/errors.ts';
import type { Call, RequestId } from '../protocol/call.ts';
import type { CallHeaders } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { correlated, fromActiveSpan } from './observe.ts';
import { Term } from './term.ts';

/** A call as an adaptor hands it to a method. */
export class ServerCall implements Call {
  readonly federation: string;
  readonly principal: Principal;
  readonly token: string;
  readonly request: RequestId | undefined;
  trace: Trace;
  readonly #term: Term;

  constructor(federation: string, principal: Principal, headers: CallHeaders, term = new Term()) {
    this.federation = federation;
    this.principal = principal;
    this.token = headers.token;
    this.request = headers.request && ownRequest(headers.request, principal);
    this.trace = correlated(headers.trace);
    this.#term = term;
  }

  get signal(): AbortSignal {
    return this.#term.signal;
  }

  get isOver(): boolean {
    return this.#term.isOver;
  }

  abort(reason: HiveError): void {
    this.#term.abort(reason);
  }

  /** From now on the active span is what follows from this call. */
  adoptActiveSpan(): void {
    this.trace = fromActiveSpan(this.trace);
  }
}

/**
 * Stored answers are looked up by client id and principal. A principal's name is not enough: two keys that both ask for
 * a free name have the same one, and whoever hears a request id could fetch the other's answer. So the key goes with it.
 */
export function ownRequest({ client, counter }: RequestId, principal: Principal): RequestId {
  if (!('key' in principal)) return { client, counter };
  const { key } = principal;
  if (last.client !== client || last.key !== key) last = { client, key, owned: `${client}@${key}` };
  return { client: last.owned, counter };
}

/** The client that was named last, since calls of one come one after the other: what looks it up then knows the text. */
let last = { client: '', key: '', owned: '@' };
