import type { Trace } from './machine.ts';
import type { Principal } from './principal.ts';

/** A client's id (a name) and counter (from 1, rising): a repeat of the same pair gets the first answer. */
export interface RequestId {
  readonly client: string;
  readonly counter: number;
}

/** What an adaptor (gRPC, bus, in process) knows of a call beside its request. */
export interface Call {
  readonly federation: string;
  readonly principal: Principal;
  /** The token that proves the principal, passed on when the call is forwarded to a leader; empty = none was sent. */
  readonly token: string;
  readonly trace: Trace;
  readonly request?: RequestId | undefined;
  /** To do it again changes nothing: it may be asked again though it has no request id. */
  readonly isIdempotent?: boolean | undefined;
  /** Aborts at the deadline, when the client goes away, and when the server stops. */
  readonly signal: AbortSignal;
  /** Has it aborted? For calls that make their signal only when it is asked for, which takes 5 µs. */
  readonly isOver?: boolean;
}

export const isOver = (call: Pick<Call, 'signal' | 'isOver'>): boolean => call.isOver ?? call.signal.aborted;
