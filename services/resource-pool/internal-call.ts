import type { Call } from '../../libs/protocol/call.ts';

/** A call of the pool itself. */
export const internalCall = (federation: string, why: string, signal: AbortSignal): Call => ({
  federation,
  principal: { kind: 'service', name: 'pool' },
  token: '',
  trace: { traceparent: '', correlationId: `pool-${why}`, hops: 0 },
  signal,
});
