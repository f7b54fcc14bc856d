import {
  type Attributes,
  type Context,
  context,
  type Link,
  type Span,
  type SpanKind,
  SpanStatusCode,
  type TimeInput,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { HiveError } from '../kernel/errors.ts';
import { ATTRIBUTE } from './attributes.ts';
import { underTraceId } from './trace-ids.ts';
import { formatTraceparent, isSampled, parseTraceparent } from './traceparent.ts';

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Traceparent of the parent; left out or empty: the active span. */
  readonly parent?: string;
  /** Traceparents of what led here as well, beside the parent. */
  readonly links?: readonly string[];
  readonly attributes?: Attributes;
  /** Default: now. */
  readonly startTime?: TimeInput;
}

/** Without a provider this tracer makes nothing; one that is registered later takes over. */
const tracer: Tracer = trace.getTracer('hivebus');

/**
 * Runs `run` within a span that ends, with the error if there is one, as `run` does. Costs next to nothing when nobody
 * makes spans or this one is not sampled: then `run` has no active span, and passes on the trace that it was given.
 */
export async function withSpan<T>(name: string, options: SpanOptions, run: (span: Span) => Promise<T>): Promise<T> {
  const parent = parentOf(options.parent);
  const span = begin(name, options, parent);
  // Entering a context makes Node follow every promise of the process from then on: only for spans that are kept.
  if (!span.isRecording()) return run(span);
  try {
    return await context.with(trace.setSpan(parent, span), run, undefined, span);
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/**
 * A span that goes on from `parent` if that is sampled, to be ended by the caller; else undefined, which costs a look at
 * the text's end. It is not made active: for code that handles many traces at a time.
 */
export function startSampled(name: string, parent: string, options: Omit<SpanOptions, 'parent'>): Span | undefined {
  if (!isSampled(parent)) return undefined;
  const remote = parseTraceparent(parent);
  if (!remote) return undefined;
  const span = begin(name, options, trace.setSpanContext(context.active(), remote));
  return span.isRecording() ? span : undefined;
}

/** Where whoever is told of this goes on from: the span, or what it would have gone on from. */
export const traceparentOf = (span: Span | undefined, otherwise: string): string =>
  span ? formatTraceparent(span.spanContext()) : otherwise;

/**
 * A refusal is the caller's business; what is ours to fix keeps its stack. To stop listening, or to give up, is no error.
 */
export function failSpan(span: Span, error: unknown): void {
  const { code, message } = HiveError.from(error);
  if (code === 'CANCELLED') return;
  span.setAttribute(ATTRIBUTE.errorType, code);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  if (!(error instanceof HiveError) && error instanceof Error) span.recordException(error);
}

/**
 * Whoever sends a trace on and did not sample it has no span of it, so a parent there would be found by nobody: who
 * keeps the trace all the same begins it, under its id.
 */
function begin(name: string, { kind, attributes, links, startTime }: SpanOptions, parent: Context): Span {
  const from = trace.getSpanContext(parent);
  const root = from?.isRemote === true && (from.traceFlags & TraceFlags.SAMPLED) === 0;
  const start = () => tracer.startSpan(name, { kind, attributes, links: linksTo(links), startTime, root }, parent);
  return root ? underTraceId(from.traceId, start) : start();
}

function parentOf(traceparent: string | undefined): Context {
  const remote = traceparent ? parseTraceparent(traceparent) : undefined;
  return remote ? trace.setSpanContext(context.active(), remote) : context.active();
}

function linksTo(traceparents: readonly string[] = []): Link[] {
  return traceparents.flatMap((text) => {
    const linked = parseTraceparent(text);
    return linked ? [{ context: linked }] : [];
  });
}
