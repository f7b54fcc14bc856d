import { context, type Link, metrics, type SpanContext, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Trace } from '../protocol/machine.ts';
import type { Observer } from './ports.ts';

const SAMPLED = /^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[13579bdf])$/;

/** Counters, a histogram of group sizes, and a span for each append that is linked to every trace in its group. */
export function otelObserver(service: string, federation: string, log: Observer['log']): Observer {
  const meter = metrics.getMeter('hivebus');
  const tracer = trace.getTracer('hivebus');
  const attributes = { service, federation };
  const happened = meter.createCounter('journal_events_total', { description: 'What happened to a journal, by kind' });
  const commands = meter.createHistogram('journal_group_commands', { description: 'Commands in one record' });
  const bytes = meter.createCounter('journal_bytes_total', { description: 'Bytes of records', unit: 'By' });
  const seconds = meter.createHistogram('journal_append_seconds', { description: 'Time of an append', unit: 's' });
  return {
    appending(group) {
      const began = performance.now();
      commands.record(group.commands, attributes);
      bytes.add(group.bytes, attributes);
      const sampled = sampledOf(group.traces());
      const first = sampled[0];
      const span =
        first &&
        tracer.startSpan(
          'journal.append',
          { kind: SpanKind.PRODUCER, links: linksTo(sampled), attributes: { ...attributes, commands: group.commands } },
          trace.setSpanContext(context.active(), first),
        );
      return {
        traceparent: span ? traceparentOf(span.spanContext()) : '',
        ended(outcome) {
          seconds.record((performance.now() - began) / 1000, { ...attributes, outcome });
          if (outcome !== 'committed') span?.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
          span?.end();
        },
      };
    },
    count: (what) => happened.add(1, { ...attributes, what }),
    log: (level, message, fields) => log(level, message, { journal: service, federation, ...fields }),
  };
}

/** Contexts of the traces that are sampled, each trace once. */
function sampledOf(traces: readonly Trace[]): SpanContext[] {
  const found = new Map<string, SpanContext>();
  for (const { traceparent } of traces) {
    if (traceparent === '' || traceparent.endsWith('00') || found.has(traceparent)) continue;
    const match = SAMPLED.exec(traceparent);
    if (!match) continue;
    const [, traceId = '', spanId = '', flags = '01'] = match;
    found.set(traceparent, { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true });
  }
  return [...found.values()];
}

const linksTo = (contexts: readonly SpanContext[]): Link[] => contexts.slice(1).map((context) => ({ context }));

const traceparentOf = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
