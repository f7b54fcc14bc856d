import type { tracing } from '@opentelemetry/sdk-node';
import type { Span, SpanKind } from '../wire/hivebus/telemetry/v1/telemetry.ts';

/** Bounds of proto/hivebus/telemetry/v1: what is longer is cut, what is more is left out. */
export const LIMITS = { name: 256, label: 128, value: 1024, attributes: 64, links: 128, events: 32 } as const;

/** By OpenTelemetry's numbers. */
const KINDS: readonly SpanKind[] = [
  'SPAN_KIND_INTERNAL',
  'SPAN_KIND_SERVER',
  'SPAN_KIND_CLIENT',
  'SPAN_KIND_PRODUCER',
  'SPAN_KIND_CONSUMER',
];
/** OpenTelemetry's SpanStatusCode.ERROR. */
const ERROR = 2;

type HrTime = tracing.ReadableSpan['startTime'];

const microseconds = ([seconds, nanoseconds]: HrTime): number => seconds * 1e6 + Math.floor(nanoseconds / 1000);

/** A finished span as it goes over the bus. */
export function wireSpan(span: tracing.ReadableSpan, instance: string): Span {
  const { traceId, spanId } = span.spanContext();
  const startUs = microseconds(span.startTime);
  return {
    traceId,
    spanId,
    parentSpanId: span.parentSpanContext?.spanId ?? '',
    name: span.name.slice(0, LIMITS.name),
    kind: KINDS[span.kind] ?? 'SPAN_KIND_UNSPECIFIED',
    service: String(span.resource.attributes['service.name'] ?? '').slice(0, LIMITS.label),
    instance: instance.slice(0, LIMITS.label),
    startUs: String(startUs),
    durationUs: String(microseconds(span.duration)),
    attributes: attributesOf(span.attributes),
    links: span.links
      .slice(0, LIMITS.links)
      .map(({ context }) => ({ traceId: context.traceId, spanId: context.spanId })),
    events: span.events.slice(0, LIMITS.events).map(({ name, time }) => ({
      name: name.slice(0, LIMITS.name),
      afterUs: String(Math.max(0, microseconds(time) - startUs)),
    })),
    failed: span.status.code === ERROR,
    message: (span.status.message ?? '').slice(0, LIMITS.value),
    sender: '',
    open: false,
  };
}

function attributesOf(attributes: tracing.ReadableSpan['attributes']): Record<string, string> {
  const entries = Object.entries(attributes).slice(0, LIMITS.attributes);
  return Object.fromEntries(entries.map(([name, value]) => [name.slice(0, LIMITS.label), textOf(value)]));
}

const textOf = (value: unknown): string =>
  (typeof value === 'object' ? JSON.stringify(value) : String(value)).slice(0, LIMITS.value);
