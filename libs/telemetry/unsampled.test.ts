import { trace } from '@opentelemetry/api';
import { tracing } from '@opentelemetry/sdk-node';
import { expect, test } from 'vitest';
import { withSpan } from './span.ts';
import { startTelemetry } from './telemetry.ts';
import { freshTraceparent, traceIdOf } from './traceparent.ts';

const sampledFrom = (traceparent: string) => `${traceparent.slice(0, -1)}1`;

test('off, nothing is loaded and nothing observed', async () => {
  await using telemetry = await startTelemetry({ service: 'test', traces: 'off' });
  expect(telemetry.observe).toBeUndefined();
  expect(telemetry.metricsPort).toBeUndefined();
  expect(await withSpan('x', {}, async (span) => span.isRecording())).toBe(false);
});

test('an unsampled span is not entered, a sampled parent is followed', async () => {
  const exporter = new tracing.InMemorySpanExporter();
  const spanProcessor = new tracing.SimpleSpanProcessor(exporter);
  await using _ = await startTelemetry({ service: 'test', traces: 1e-9, spanProcessors: [spanProcessor] });
  const parent = freshTraceparent();
  expect(await withSpan('x', { parent }, async () => trace.getActiveSpan())).toBeUndefined();
  expect(exporter.getFinishedSpans()).toEqual([]);
  await withSpan('y', { parent: sampledFrom(parent) }, async () => {});
  expect(exporter.getFinishedSpans().map((span) => span.spanContext().traceId)).toEqual([traceIdOf(parent)]);
});
