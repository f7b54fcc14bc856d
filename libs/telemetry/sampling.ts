import { isSpanContextValid, SamplingDecision, TraceFlags, trace } from '@opentelemetry/api';
import type { tracing } from '@opentelemetry/sdk-node';
import { isSampled } from './traceparent.ts';

/** `off`, `always`, or which part of traces is sampled, below 1; 0 = those that somebody else has sampled. */
export type Sampling = 'off' | 'always' | number;

/**
 * Which traces are kept. A trace that somebody has sampled already is; else its id alone decides, so that all services
 * with the same ratio decide the same. "Not sampled" is no decision: clients without telemetry begin traces too, so
 * that one id spans everything.
 */
export function keepsTrace(traceparent: string, sampling: Exclude<Sampling, 'off'>): boolean {
  if (sampling === 'always' || traceparent === '') return true; // whoever begins a trace is asked again, with its id
  if (isSampled(traceparent)) return true;
  return keepsTraceId(traceparent.slice(3, 35), sampling);
}

/** The last 32 bits of an id are random whoever made it. */
export const keepsTraceId = (traceId: string, ratio: number): boolean =>
  Number.parseInt(traceId.slice(24, 32), 16) < ratio * 2 ** 32;

/** The same as OpenTelemetry asks it. What is not sampled within this process stays so. */
export function samplerFor(sampling: Exclude<Sampling, 'off'>): tracing.Sampler {
  const { RECORD_AND_SAMPLED, NOT_RECORD } = SamplingDecision;
  const keeps = (traceId: string) => sampling === 'always' || keepsTraceId(traceId, sampling);
  return {
    shouldSample(context, traceId) {
      const parent = trace.getSpanContext(context);
      const known = parent && isSpanContextValid(parent) ? parent : undefined;
      if (known && known.traceFlags & TraceFlags.SAMPLED) return { decision: RECORD_AND_SAMPLED };
      const isDecided = known !== undefined && !known.isRemote;
      return { decision: !isDecided && keeps(traceId) ? RECORD_AND_SAMPLED : NOT_RECORD };
    },
    toString: () => `hivebus ${sampling}`,
  };
}
