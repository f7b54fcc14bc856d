import { metrics, type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { merged } from '../kernel/merged.ts';
import type { Trace } from '../protocol/machine.ts';
import { ATTRIBUTE, messaging } from '../telemetry/attributes.ts';
import { startSampled, traceparentOf } from '../telemetry/span.ts';
import { isSampled } from '../telemetry/traceparent.ts';
import type { Appended, AppendObserver, Observer } from './ports.ts';

/** Whose journal it is, and where its records go. */
export interface Observed {
  readonly service: string;
  readonly federation: string;
  readonly subject: string;
}

/** A span has room for so many links, by OpenTelemetry's own bound; commands beyond share the append without one. */
const MAX_LINKS = 128;

/** Counters, a histogram of group sizes, and spans of appends. */
export function otelObserver({ service, federation, subject }: Observed, log: Observer['log']): Observer {
  const meter = metrics.getMeter('hivebus');
  const attributes = { service, federation };
  const happened = meter.createCounter('journal_events_total', { description: 'What happened to a journal, by kind' });
  const commands = meter.createHistogram('journal_group_commands', {
    description: 'Commands in one record',
    advice: { explicitBucketBoundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096] },
  });
  const bytes = meter.createCounter('journal_bytes_total', { description: 'Bytes of records', unit: 'By' });
  const seconds = meter.createHistogram('journal_append_seconds', {
    description: 'Time of an append, by its outcome',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] },
  });
  return {
    appending(group) {
      const began = performance.now();
      commands.record(group.commands, attributes);
      bytes.add(group.bytes, attributes);
      const spans = startAppend(service, subject, group);
      return {
        traceparent: spans?.traceparent ?? '',
        follow: (trace) => spans?.follow(trace) ?? trace,
        ended(outcome) {
          seconds.record((performance.now() - began) / 1000, merged(attributes, { outcome }));
          spans?.end(outcome);
        },
      };
    },
    count: (what) => happened.add(1, merged(attributes, { what })),
    log: (level, message, fields) => log(level, message, { journal: service, federation, ...fields }),
  };
}

type Group = Parameters<Observer['appending']>[0];

interface AppendSpans extends Pick<AppendObserver, 'traceparent' | 'follow'> {
  end(outcome: Appended['outcome']): void;
}

/**
 * One append serves many commands, each of another trace perhaps. The append's span goes on from the first that is
 * sampled and is linked to the others; each of those gets a span of its own for the same time, linked to the append, so
 * that no trace has a gap where it waited for it. Undefined when none is sampled.
 */
function startAppend(service: string, subject: string, group: Group): AppendSpans | undefined {
  const [first, ...others] = sampledOf(group.traces());
  if (!first) return undefined;
  const attributesOf = (name: string, trace: Trace) => messaging({ name, type: 'send', subject, trace, service });
  const append = startSampled(`append ${subject}`, first.traceparent, {
    kind: SpanKind.PRODUCER,
    links: others.map(({ traceparent }) => traceparent),
    attributes: {
      ...attributesOf('append', first),
      [ATTRIBUTE.batchSize]: group.commands,
      [ATTRIBUTE.bodySize]: group.bytes,
    },
  });
  if (!append) return undefined;
  const traceparent = traceparentOf(append, '');
  const spans = new Map([[first.traceparent, append]]);
  for (const other of others) {
    const attributes = attributesOf('join', other);
    const joined = startSampled(`join append ${subject}`, other.traceparent, { links: [traceparent], attributes });
    if (joined) spans.set(other.traceparent, joined);
  }
  return {
    traceparent,
    follow: (trace) => followed(trace, spans.get(trace.traceparent)),
    end: (outcome) => spans.forEach((span) => void ended(span, outcome)),
  };
}

const followed = (trace: Trace, span: Span | undefined): Trace =>
  span ? { ...trace, traceparent: traceparentOf(span, '') } : trace;

function ended(span: Span, outcome: Appended['outcome']): void {
  span.setAttribute(ATTRIBUTE.answer, outcome);
  if (outcome !== 'committed') span.setStatus({ code: SpanStatusCode.ERROR, message: `the append was ${outcome}` });
  span.end();
}

/** The traces that are sampled, each span once. */
function sampledOf(traces: readonly Trace[]): Trace[] {
  const found = new Map<string, Trace>();
  for (const trace of traces) {
    if (found.size > MAX_LINKS) break;
    if (isSampled(trace.traceparent)) found.set(trace.traceparent, trace);
  }
  return [...found.values()];
}
