import type { Call } from '../protocol/call.ts';
import type { Principal } from '../protocol/principal.ts';

/** A call as an adaptor hands it on: in the federation `main`, by this caller, who has no trace and never gives up. */
export const callBy = (principal: Principal, change: Partial<Call> = {}): Call => ({
  federation: 'main',
  principal,
  token: '',
  trace: { traceparent: '', correlationId: 'c', hops: 0 },
  signal: new AbortController().signal,
  ...change,
});
