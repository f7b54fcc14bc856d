import { trace as tracing } from '@opentelemetry/api';
import { randomId } from '../kernel/ids.ts';
import { nextHop } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';

/** What is known of a call from outside, for spans and metrics. */
export interface Observed {
  readonly side: 'server' | 'client';
  readonly transport: 'grpc' | 'bus';
  /** As in subjects, e.g. `registry`. */
  readonly service: string;
  readonly method: string;
  /** Full name, e.g. `hivebus.registry.v1.RegistryService/ListSwarms`. */
  readonly fullName: string;
  readonly federation: string;
  /** What the call belongs to; its span's parent, where none is active. */
  readonly trace: Trace;
}

/**
 * Wraps each call, for telemetry: makes a span, runs `run` within it, counts and times. Must settle as `run` does.
 * For streams `run` settles when the stream has ended. Left out, calls cost nothing more.
 */
export type Observe = <T>(info: Observed, run: () => Promise<T>) => Promise<T>;

/** A request that was refused before its method was asked counts too; gives the trace that its answer belongs to. */
export function observeRefusal(observe: Observe | undefined, info: Observed, error: unknown): Trace {
  let { trace } = info;
  observe?.(info, () => {
    trace = fromActiveSpan(trace);
    return Promise.reject(error);
  }).catch(() => {});
  return trace;
}

/** The same trace with a correlation id, a new one where it has none. */
export const correlated = (trace: Trace): Trace =>
  trace.correlationId === '' ? { ...trace, correlationId: randomId() } : trace;

/** What is done for nobody's sake, such as keeping up to date: no trace begins with it. */
export const BACKGROUND: Trace = { traceparent: '', correlationId: 'background', hops: -1 };

export const isBackground = ({ correlationId }: Trace): boolean => correlationId === BACKGROUND.correlationId;

/** The trace of a call that starts here, made for the sake of `outer`, if anything. */
export const traceOfCall = (outer: Trace | undefined): Trace =>
  outer ? nextHop(outer) : { traceparent: '', correlationId: randomId(), hops: 0 };

/** The same trace from the active span on, if there is one; what is done in the background is part of none. */
export function fromActiveSpan(trace: Trace): Trace {
  const traceparent = isBackground(trace) ? '' : activeTraceparent();
  return traceparent === '' ? trace : { ...trace, traceparent };
}

/** The traceparent of the span that is active here; empty when there is none. */
export function activeTraceparent(): string {
  const context = tracing.getActiveSpan()?.spanContext();
  if (!context) return '';
  return `00-${context.traceId}-${context.spanId}-${context.traceFlags & 1 ? '01' : '00'}`;
}
