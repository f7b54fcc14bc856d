import type { Sampling } from './telemetry.ts';

/**
 * Which traces are kept. A trace that somebody has sampled already is; else its id alone decides, so that all services
 * with the same ratio decide the same. "Not sampled" is no decision: clients without telemetry begin traces too, so
 * that one id spans everything.
 */
export function keepsTrace(traceparent: string, sampling: Exclude<Sampling, 'off'>): boolean {
  if (sampling === 'always' || traceparent === '') return true; // whoever begins a trace is asked again, with its id
  if (!traceparent.endsWith('0') && isSampled(traceparent)) return true;
  return keepsTraceId(traceparent.slice(3, 35), sampling);
}

/** The last 32 bits of an id are random whoever made it. */
export const keepsTraceId = (traceId: string, ratio: number): boolean =>
  Number.parseInt(traceId.slice(24, 32), 16) < ratio * 2 ** 32;

const isSampled = (traceparent: string): boolean => (Number.parseInt(traceparent.slice(-2), 16) & 1) === 1;
