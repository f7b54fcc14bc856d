import {
  type Attributes,
  type Context,
  context,
  type Link,
  type Span,
  type SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { HiveError } from '../kernel/errors.ts';
import { parseTraceparent } from './traceparent.ts';

export interface SpanOptions {
  readonly kind?: SpanKind;
  /** Traceparent of the parent; default: the active span. */
  readonly parent?: string;
  /** Traceparents of what led here as well, beside the parent. */
  readonly links?: readonly string[];
  readonly attributes?: Attributes;
}

/** Without a provider this tracer makes nothing; one that is registered later takes over. */
const tracer: Tracer = trace.getTracer('hivebus');

/**
 * Runs `run` within a span that ends, with the error if there is one, as `run` does. Costs next to nothing when nobody
 * makes spans or this one is not sampled: then `run` has no active span, and passes on the trace that it was given.
 */
export async function withSpan<T>(name: string, options: SpanOptions, run: (span: Span) => Promise<T>): Promise<T> {
  const parent = parentOf(options.parent);
  const span = tracer.startSpan(
    name,
    { kind: options.kind, attributes: options.attributes, links: linksTo(options.links) },
    parent,
  );
  // Entering a context makes Node follow every promise of the process from then on: only for spans that are kept.
  if (!span.isRecording()) return run(span);
  try {
    return await context.with(trace.setSpan(parent, span), run, undefined, span);
  } catch (error) {
    fail(span, error);
    throw error;
  } finally {
    span.end();
  }
}

function parentOf(traceparent: string | undefined): Context {
  const active = context.active();
  const remote = traceparent && !trace.getSpan(active) ? parseTraceparent(traceparent) : undefined;
  return remote ? trace.setSpanContext(active, remote) : active;
}

function linksTo(traceparents: readonly string[] = []): Link[] {
  return traceparents.flatMap((text) => {
    const linked = parseTraceparent(text);
    return linked ? [{ context: linked }] : [];
  });
}

/** A refusal is the caller's business; what is ours to fix keeps its stack. */
function fail(span: Span, error: unknown): void {
  const { code, message } = HiveError.from(error);
  span.setAttribute('hivebus.code', code);
  span.setStatus({ code: SpanStatusCode.ERROR, message });
  if (!(error instanceof HiveError) && error instanceof Error) span.recordException(error);
}
