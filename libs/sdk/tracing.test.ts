import { expect, test } from 'vitest';
import { fromActiveSpan } from '../rpc/observe.ts';
import { formatTraceparent, parseTraceparent } from '../telemetry/traceparent.ts';
import type { Span } from '../wire/hivebus/telemetry/v1/telemetry.ts';
import type { Hive } from './hive.ts';
import { currentTrace, environmentOfTrace, inBackground, traceOfEnvironment } from './trace-context.ts';
import { startTracing } from './tracing.ts';

const OUTER = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

test('what runs is one trace, which begins with a span that is handed in; in the background it is none', async () => {
  const sent: Span[] = [];
  const hive = { sendSpans: async (spans: readonly Span[]) => void sent.push(...spans) } as unknown as Hive;
  await using tracing = await startTracing({ service: 'nightly', env: {} });
  tracing.sendBy(hive);
  await tracing.run('lint', async (trace) => {
    expect(currentTrace()).toBe(trace);
    expect(parseTraceparent(trace.traceparent)?.traceFlags).toBe(1);
    expect(fromActiveSpan(trace)).toEqual(trace);
    expect(traceOfEnvironment(environmentOfTrace({ ...trace, hops: 3 }))).toEqual({ ...trace, hops: 3 });
    const background = inBackground(currentTrace);
    expect(background).toMatchObject({ traceparent: '', correlationId: 'background' });
    expect(fromActiveSpan(background as typeof trace).traceparent).toBe('');
  });
  await expect(tracing.run('fails', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(currentTrace()).toBeUndefined();
  await tracing.flush();
  expect(sent.map(({ name, parentSpanId, failed }) => [name, parentSpanId, failed])).toEqual([
    ['lint', '', false],
    ['fails', '', true],
  ]);
  expect(sent[0]).toMatchObject({ service: 'nightly', attributes: { 'process.executable.name': 'nightly' } });
});

test('started within a trace, it is a part of that', async () => {
  const tracing = await startTracing({ service: 'nightly', env: { TRACEPARENT: OUTER } });
  await tracing.run('lint', async ({ traceparent }, span) => {
    expect(traceparent.slice(0, 36)).toBe(OUTER.slice(0, 36));
    expect(traceparent).toBe(formatTraceparent(span?.spanContext() as never));
  });
});

test('off, one id goes through everything all the same', async () => {
  const tracing = await startTracing({ service: 'nightly', env: { HIVEBUS_TRACES: 'off' } });
  await tracing.run('lint', async (trace, span) => {
    expect(span).toBeUndefined();
    expect(currentTrace()).toBe(trace);
    expect(trace.traceparent).toMatch(/^00-.*-00$/);
  });
  await expect(startTracing({ service: 'x', env: { HIVEBUS_TRACES: 'perhaps' } })).rejects.toThrow('HIVEBUS_TRACES');
});
