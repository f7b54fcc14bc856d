import { trace as tracing } from '@opentelemetry/api';
import type { Trace } from '../protocol/machine.ts';

/** What is known of a call from outside, for spans and metrics. */
export interface Observed {
  readonly side: 'server' | 'client';
  readonly transport: 'grpc' | 'bus';
  /** As in subjects, e.g. `registry`. */
  readonly service: string;
  readonly method: string;
  readonly federation: string;
  /** On a server: where the call came from; the parent of its span. */
  readonly trace: Trace;
}

/**
 * Wraps each call, for telemetry: makes a span, runs `run` within it, counts and times. Must settle as `run` does.
 * For streams `run` settles when the stream has ended. Left out, calls cost nothing more.
 */
export type Observe = <T>(info: Observed, run: () => Promise<T>) => Promise<T>;

/** A request that was refused before its method was asked counts too. */
export function observeRefusal(observe: Observe | undefined, info: Observed, error: unknown): void {
  observe?.(info, () => Promise.reject(error)).catch(() => {});
}

/** The traceparent of the span that is active here; empty when there is none. */
export function activeTraceparent(): string {
  const context = tracing.getActiveSpan()?.spanContext();
  if (!context) return '';
  return `00-${context.traceId}-${context.spanId}-${context.traceFlags & 1 ? '01' : '00'}`;
}
