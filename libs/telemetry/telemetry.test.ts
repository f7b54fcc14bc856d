import { type SpanContext, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { tracing } from '@opentelemetry/sdk-node';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import type { Observe, Observed } from '../rpc/observe.ts';
import { createLogger } from './log.ts';
import { withSpan } from './span.ts';
import { createSwarmMetrics } from './swarm-metrics.ts';
import { startTelemetry } from './telemetry.ts';
import { formatTraceparent, freshTraceparent, traceIdOf } from './traceparent.ts';

const exporter = new tracing.InMemorySpanExporter();
const telemetry = await startTelemetry({
  service: 'test',
  traces: 'always',
  spanProcessors: [new tracing.SimpleSpanProcessor(exporter)],
  metricsPort: 0,
});
afterAll(() => telemetry[Symbol.asyncDispose]());
beforeEach(() => exporter.reset());
const observe = telemetry.observe as Observe;

const infoOf = (side: 'server' | 'client', traceparent = ''): Observed => ({
  side,
  transport: 'bus',
  service: 'registry',
  method: 'ListSwarms',
  fullName: 'hivebus.registry.v1.RegistryService/ListSwarms',
  federation: 'main',
  trace: { traceparent, correlationId: 'c-1', hops: 0 },
});

const scrape = async () => (await fetch(`http://127.0.0.1:${telemetry.metricsPort}/metrics`)).text();

test('a call has a span that continues the trace it came with, even one begun without telemetry', async () => {
  const from = freshTraceparent();
  await observe(infoOf('server', from), () => observe(infoOf('client'), async () => 1));
  const [client, server] = exporter.getFinishedSpans();
  expect(server).toMatchObject({
    name: 'hivebus.registry.v1.RegistryService/ListSwarms',
    kind: SpanKind.SERVER,
    attributes: {
      'rpc.system.name': 'hivebus',
      'rpc.status_code': 'OK',
      'messaging.destination.name': 'hive.main.rpc.registry.ListSwarms',
      'hivebus.correlation_id': 'c-1',
    },
  });
  expect(server?.spanContext().traceId).toBe(traceIdOf(from));
  expect(server?.parentSpanContext).toBeUndefined(); // whoever did not sample has no span: the trace begins here
  expect(client?.kind).toBe(SpanKind.CLIENT);
  expect(client?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId);
});

test('what somebody has sampled is gone on from; each trace that begins has an id of its own', async () => {
  const from = `${freshTraceparent().slice(0, -1)}1`;
  await observe(infoOf('server', from), async () => 1);
  await observe(infoOf('server'), async () => 1);
  await observe(infoOf('server'), async () => 1);
  const [sampled, one, two] = exporter.getFinishedSpans();
  expect(formatTraceparent(sampled?.parentSpanContext as SpanContext)).toBe(from);
  expect(new Set([traceIdOf(from), one?.spanContext().traceId, two?.spanContext().traceId]).size).toBe(3);
});

test('within a call its span is active, and log lines carry its ids', async () => {
  const lines: string[] = [];
  const log = createLogger({ service: 'test', level: 'info', pretty: false, write: (line) => lines.push(line) });
  await observe(infoOf('server'), async () => log.info('within'));
  const span = exporter.getFinishedSpans()[0]?.spanContext();
  expect(JSON.parse(lines[0] as string)).toMatchObject({ trace_id: span?.traceId, span_id: span?.spanId });
});

test('an error ends the span and is counted by its code', async () => {
  const refused = observe(infoOf('server'), () => Promise.reject(new HiveError('NOT_FOUND', 'no such swarm')));
  await expect(refused).rejects.toThrow('no such swarm');
  const span = exporter.getFinishedSpans()[0];
  expect(span?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no such swarm' });
  expect(span?.attributes).toMatchObject({ 'error.type': 'NOT_FOUND', 'rpc.status_code': 'NOT_FOUND' });
  const labels = 'side="server",transport="bus",service="registry",method="ListSwarms",code="NOT_FOUND"';
  expect(await scrape()).toMatch(new RegExp(`rpc_seconds_count\\{${labels}[^}]*\\} 1`));
});

test('links are kept beside the parent', async () => {
  const [one, two] = [freshTraceparent(), freshTraceparent()];
  const inner = await withSpan('group', { links: [one, two, 'junk'] }, async (span) =>
    formatTraceparent(span.spanContext()),
  );
  const span = exporter.getFinishedSpans()[0];
  expect(span?.links.map((link) => link.context.traceId)).toEqual([one, two].map(traceIdOf));
  expect(traceIdOf(inner)).toBe(span?.spanContext().traceId);
  expect(trace.getActiveSpan()).toBeUndefined();
});

test('swarm metrics have the names that dashboards know', async () => {
  const swarm = createSwarmMetrics();
  swarm.watch('agents', (result) => result.observe(3, { federation: 'main', swarm: 'code' }));
  swarm.taskEnded('main', 'code', 'succeeded', 1.5);
  const text = await scrape();
  expect(text).toMatch(/^swarm_agents_total\{federation="main",swarm="code"[^}]*\} 3$/m);
  expect(text).toMatch(/^swarm_tasks_completed_total\{federation="main",swarm="code",outcome="succeeded"[^}]*\} 1$/m);
  expect(text).toMatch(/^swarm_task_duration_seconds_sum\{[^}]*\} 1.5$/m);
});
