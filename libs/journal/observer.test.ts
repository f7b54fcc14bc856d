import { tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { parseTraceparent } from '../telemetry/traceparent.ts';
import { otelObserver } from './observer.ts';
import type { Appended } from './ports.ts';

const exporter = new tracing.InMemorySpanExporter();
const spanProcessor = new tracing.SimpleSpanProcessor(exporter);
const telemetry = await startTelemetry({ service: 'test', traces: 'always', spanProcessors: [spanProcessor] });
afterAll(() => telemetry[Symbol.asyncDispose]());
beforeEach(() => exporter.reset());

const SUBJECT = 'hive.main.journal.pool';

const trace = (id: string, flags: string) => ({
  traceparent: `00-${id.repeat(32)}-${id.repeat(16)}-${flags}`,
  correlationId: `job-${id}`,
  hops: 0,
});

function append(...traces: ReturnType<typeof trace>[]) {
  const observer = otelObserver({ service: 'pool', federation: 'main', subject: SUBJECT }, () => {});
  return observer.appending({ commands: traces.length, bytes: 1, traces: () => traces });
}

const spans = (outcome: Appended['outcome'], ...traces: ReturnType<typeof trace>[]) => {
  append(...traces)?.ended(outcome);
  return exporter.getFinishedSpans();
};

test('an append goes on from the first sampled trace of its group; each other one gets a span that joins it', () => {
  const [one, joined, ...more] = spans(
    'committed',
    trace('a', '00'),
    trace('b', '01'),
    trace('c', '01'),
    trace('b', '01'),
  );
  expect(more).toEqual([]);
  expect(one).toMatchObject({
    name: `append ${SUBJECT}`,
    attributes: {
      'messaging.system.name': 'nats',
      'messaging.destination.name': SUBJECT,
      'messaging.batch.message_count': 4,
      'hivebus.correlation_id': 'job-b',
      'hivebus.answer': 'committed',
    },
  });
  expect(one?.parentSpanContext?.traceId).toBe('b'.repeat(32));
  expect(one?.links.map(({ context }) => context.traceId)).toEqual(['c'.repeat(32)]);
  expect(joined).toMatchObject({ name: `join append ${SUBJECT}`, attributes: { 'hivebus.correlation_id': 'job-c' } });
  expect(joined?.spanContext().traceId).toBe('c'.repeat(32));
  expect(joined?.parentSpanContext?.spanId).toBe('c'.repeat(16));
  expect(joined?.links.map(({ context }) => context.spanId)).toEqual([one?.spanContext().spanId]);
});

test('what follows from a command goes on from the append in its own trace', () => {
  const appending = append(trace('b', '01'), trace('c', '01'));
  appending?.ended('committed');
  const ids = exporter.getFinishedSpans().map((span) => span.spanContext().spanId);
  const followed = [trace('b', '01'), trace('c', '01')].map((each) => appending?.follow(each).traceparent ?? '');
  expect(followed.map((traceparent) => parseTraceparent(traceparent)?.spanId)).toEqual(ids);
  expect(appending?.traceparent).toBe(followed[0]);
  expect(appending?.follow(trace('a', '00'))).toEqual(trace('a', '00'));
});

test('an append that is not committed is an error in every trace', () => {
  const statuses = spans('refused', trace('b', '01'), trace('c', '01')).map(({ status }) => status.message);
  expect(statuses).toEqual(['the append was refused', 'the append was refused']);
});

test('a group in which nobody is sampled has no span', () => {
  expect(spans('committed', trace('a', '00'))).toEqual([]);
});
