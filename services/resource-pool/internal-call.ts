import { type Call, isOver } from '../../libs/protocol/call.ts';
import type { Trace } from '../../libs/protocol/machine.ts';
import type { Principal } from '../../libs/protocol/principal.ts';

/** A call of the pool itself. */
export const internalCall = (federation: string, why: string, signal: AbortSignal): Call => ({
  federation,
  principal: { kind: 'service', name: 'pool' },
  token: '',
  trace: { traceparent: '', correlationId: `pool-${why}`, hops: 0 },
  signal,
});

/**
 * The same call for what must not be answered from what was answered before: what a repeat is told is what is so then.
 * `trace`: what it is part of, if not of the call's. `isIdempotent`: to do it again changes nothing.
 */
export const unrepeated = (call: Call, trace = call.trace, isIdempotent = true): Call =>
  new Unrepeated(call, trace, isIdempotent);

class Unrepeated implements Call {
  readonly federation: string;
  readonly principal: Principal;
  readonly token: string;
  readonly trace: Trace;
  readonly isIdempotent: boolean;
  readonly #call: Call;

  constructor(call: Call, trace: Trace, isIdempotent: boolean) {
    this.federation = call.federation;
    this.principal = call.principal;
    this.token = call.token;
    this.trace = trace;
    this.isIdempotent = isIdempotent;
    this.#call = call;
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get isOver(): boolean {
    return isOver(this.#call);
  }
}
