import { tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { otelObserver } from './observer.ts';

const exporter = new tracing.InMemorySpanExporter();
const spanProcessor = new tracing.SimpleSpanProcessor(exporter);
const telemetry = await startTelemetry({ service: 'test', traces: 'always', spanProcessor });
afterAll(() => telemetry[Symbol.asyncDispose]());
beforeEach(() => exporter.reset());

const trace = (id: string, flags: string) => ({
  traceparent: `00-${id.repeat(32)}-${id.repeat(16)}-${flags}`,
  correlationId: 'c',
  hops: 0,
});

const append = (...traces: ReturnType<typeof trace>[]) =>
  otelObserver('pool', 'main', () => {}).appending({ commands: traces.length, bytes: 1, traces: () => traces });

test('one append, one span: a child of the first sampled trace in its group, linked to the others', () => {
  const appending = append(trace('a', '00'), trace('b', '01'), trace('c', '01'), trace('b', '01'));
  appending?.ended('committed');
  const [span] = exporter.getFinishedSpans();
  expect(span?.parentSpanContext?.traceId).toBe('b'.repeat(32));
  expect(span?.links.map(({ context }) => context.traceId)).toEqual(['c'.repeat(32)]);
  expect(appending?.traceparent).toContain(span?.spanContext().spanId);
});

test('a group in which nobody is sampled has no span', () => {
  append(trace('a', '00'))?.ended('committed');
  expect(exporter.getFinishedSpans()).toEqual([]);
});
