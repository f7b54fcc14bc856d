import { type SpanContext, TraceFlags } from '@opentelemetry/api';
import { randomHex } from '../kernel/ids.ts';

/**
 * W3C trace context as text, which is how it travels in NATS headers, gRPC metadata and `Trace`. Nothing here needs
 * telemetry to be on: a traceparent that comes in goes out unchanged when nobody makes spans.
 */
const PATTERN = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/**
 * A new trace, for whoever stands at the beginning of one: a single id then spans everything that follows, telemetry
 * or not. Its flags say "not sampled", which for our services means "not decided yet" (sampling.ts), and that its span is
 * nobody's: the first one that is kept is the root (span.ts).
 */
export const freshTraceparent = (): string => `00-${randomHex(16)}-${randomHex(8)}-00`;

/** Undefined when the text is no traceparent. */
export function parseTraceparent(text: string): SpanContext | undefined {
  const match = text === '' ? null : PATTERN.exec(text);
  if (!match) return undefined;
  const [, traceId = '', spanId = '', flags = '00'] = match;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
}

export const formatTraceparent = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`;

/** The 32 digits by which a trace is found; empty when there is none. */
export const traceIdOf = (traceparent: string): string => parseTraceparent(traceparent)?.traceId ?? '';

/** Is the trace kept by whoever has begun it? Almost none is where there is much to do, so most are told by one look. */
export function isSampled(traceparent: string): boolean {
  if (traceparent.length !== 55 || traceparent.endsWith('0')) return false;
  return (Number.parseInt(traceparent.slice(53), 16) & TraceFlags.SAMPLED) === TraceFlags.SAMPLED;
}
