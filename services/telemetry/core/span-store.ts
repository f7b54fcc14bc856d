import { Room } from '../../../libs/protocol/answer-size.ts';
import type { Span, TraceSummary } from '../../../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { type KeptSpan, type KeptTrace, type RingBounds, SpanRing } from './span-ring.ts';

/** Spans in one answer; what has more is not read by anybody. */
const MAX_SPANS = 2000;

const ANONYMOUS = 'anonymous';

export interface FoundTrace {
  readonly spans: readonly Span[];
  readonly missing: number;
}

/**
 * What is kept of all traces: half of the room for those who have proven who they are and for the own process, half for
 * the others, so that a stranger's spans push out no others.
 */
export class SpanStore {
  readonly #proven: SpanRing;
  readonly #others: SpanRing;

  constructor({ maxSpans, maxBytes }: RingBounds) {
    const half = { maxSpans: Math.ceil(maxSpans / 2), maxBytes: Math.ceil(maxBytes / 2) };
    this.#proven = new SpanRing(half);
    this.#others = new SpanRing(half);
  }

  /** How many are kept. */
  get size(): number {
    return this.#proven.size + this.#others.size;
  }

  /** Of their text. */
  get bytes(): number {
    return this.#proven.bytes + this.#others.bytes;
  }

  /** `sender` as in proto/: `anonymous` has proven nothing, an empty one is the own process. */
  add(span: Span, sender: string): void {
    (sender === ANONYMOUS ? this.#others : this.#proven).add({ ...span, sender });
  }

  trace(traceId: string): FoundTrace | undefined {
    const parts = [this.#proven.trace(traceId), this.#others.trace(traceId)].filter((part) => part !== undefined);
    const kept = parts.flatMap(({ spans }) => spans).sort((a, b) => a.startUs - b.startUs);
    if (kept.length === 0) return undefined;
    const room = new Room();
    const found = withoutOpen(kept.map(({ json }) => JSON.parse(json) as Span));
    const end = found.findIndex((span, i) => i === MAX_SPANS || !room.takes(span));
    const spans = end < 0 ? found : found.slice(0, end);
    const dropped = parts.reduce((sum, part) => sum + part.dropped, 0);
    return { spans, missing: found.length - spans.length + dropped };
  }

  /** The newest trace with a span of that correlation id. */
  ofCorrelation(correlationId: string): string | undefined {
    return this.#newest((span) => (span.correlationId === correlationId ? span.startUs : undefined));
  }

  /** The newest trace that a command of `hivebus` has begun, by its end. */
  lastCommand(): string | undefined {
    return this.#newest((span) => (span.isRoot && span.isCommand ? span.endUs : undefined));
  }

  /** Those that somebody proven took part in, then the others: each the newest first. */
  summaries(limit: number): TraceSummary[] {
    const traces = new Map<string, KeptSpan[]>();
    for (const [id, { spans }] of this.#all()) traces.set(id, [...(traces.get(id) ?? []), ...spans]);
    const summaries = [...traces].map(([id, spans]) => summary(id, spans));
    const rank = ({ traceId }: TraceSummary) => (this.#isProven(traceId) ? 0 : 1);
    return summaries.sort((a, b) => rank(a) - rank(b) || Number(b.startUs) - Number(a.startUs)).slice(0, limit);
  }

  /** Spans of a stranger alone could be anything, and as many as he likes. */
  #isProven(traceId: string): boolean {
    return this.#proven.trace(traceId) !== undefined;
  }

  /** Of those that somebody proven took part in, if there is one; else of all. */
  #newest(timeOf: (span: KeptSpan) => number | undefined): string | undefined {
    let found: string | undefined;
    let newest = Number.NEGATIVE_INFINITY;
    let isProven = false;
    for (const [id, { spans }] of this.#all()) {
      const proven = this.#isProven(id);
      if (isProven && !proven) continue;
      for (const span of spans) {
        const time = timeOf(span);
        if (time === undefined || (time < newest && proven === isProven)) continue;
        [found, newest, isProven] = [id, time, proven];
      }
    }
    return found;
  }

  *#all(): Generator<readonly [string, KeptTrace]> {
    yield* this.#proven.traces();
    yield* this.#others.traces();
  }
}

/** What was handed in open and has ended is there twice. */
function withoutOpen(spans: readonly Span[]): Span[] {
  const ended = new Set(spans.filter(({ open }) => !open).map(({ spanId }) => spanId));
  return spans.filter(({ open, spanId }) => !open || !ended.has(spanId));
}

function summary(traceId: string, spans: readonly KeptSpan[]): TraceSummary {
  let [start, end, failed] = [Number.POSITIVE_INFINITY, 0, 0];
  for (const span of spans) {
    start = Math.min(start, span.startUs);
    end = Math.max(end, span.endUs);
    if (span.failed) failed++;
  }
  const first = spans.reduce((a, b) => (b.startUs < a.startUs ? b : a));
  const { name, service } = spans.find(({ isRoot }) => isRoot) ?? first;
  const times = { startUs: String(start), durationUs: String(end - start) };
  return { traceId, name, service, ...times, spans: spans.length, failed };
}
