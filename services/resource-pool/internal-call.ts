import type { Call } from '../../libs/protocol/call.ts';

/** A call of the pool itself. */
export const internalCall = (federation: string, why: string, signal: AbortSignal): Call => ({
  federation,
  principal: { kind: 'service', name: 'pool' },
  token: '',
  trace: { traceparent: '', correlationId: `pool-${why}`, hops: 0 },
  signal,
});

/** The same call for what must not be answered from what was answered before: what a repeat is told is what is so then. */
export const unrepeated = ({ federation, principal, token, trace, signal }: Call): Call => ({
  ...{ federation, principal, token, trace, signal },
});
