import { Room } from '../../../libs/protocol/answer-size.ts';
import type { Span, TraceSummary } from '../../../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { type KeptSpan, type KeptTrace, type RingBounds, SpanRing } from './span-ring.ts';

/** Spans in one answer. */
const MAX_SPANS = 2000;

const ANONYMOUS = 'anonymous';

/** A page of a trace. */
export interface FoundTrace {
  readonly spans: readonly Span[];
  /** How many come after these, or have given way. */
  readonly missing: number;
  /** Where the next page begins; empty = there is none. */
  readonly nextPageToken: string;
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

  /** `pageToken`: the page before ended there; empty = from the beginning. */
  trace(traceId: string, pageToken = ''): FoundTrace | undefined {
    const parts = [this.#proven.trace(traceId), this.#others.trace(traceId)].filter((part) => part !== undefined);
    if (parts.length === 0) return undefined;
    const kept = distinct(parts.flatMap(({ spans }) => spans))
      .map((span) => ({ span, place: placeOf(span) }))
      .filter(({ place }) => place > pageToken)
      .sort((a, b) => (a.place === b.place ? 0 : a.place < b.place ? -1 : 1));
    const room = new Room();
    const spans: Span[] = [];
    for (const { span } of kept.slice(0, MAX_SPANS)) {
      const whole = JSON.parse(span.json) as Span;
      if (!room.takes(whole)) break;
      spans.push(whole);
    }
    const rest = kept.length - spans.length;
    const dropped = parts.reduce((sum, part) => sum + part.dropped, 0);
    const nextPageToken = rest > 0 ? (kept[spans.length - 1]?.place ?? '') : '';
    return { spans, missing: rest + dropped, nextPageToken };
  }

  /** The newest trace with a span of that correlation id. */
  ofCorrelation(correlationId: string): string | undefined {
    return this.#newest((span) => (span.correlationId === correlationId ? span.startUs : undefined));
  }

  /** The newest trace that a command of `hivebus`, or another program, has begun and ended, by its end. */
  lastProgram(): string | undefined {
    return this.#newest((span) => (span.isRoot && span.isProgram && !span.open ? span.endUs : undefined));
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

/**
 * Each span once. What was handed in open comes again when it goes on for long, and when it has ended: then that counts.
 * A batch whose answer was late is sent again.
 */
function distinct(spans: readonly KeptSpan[]): KeptSpan[] {
  const byId = new Map<string, KeptSpan>();
  for (const span of spans) {
    const known = byId.get(span.spanId);
    if (!known || (known.open && (!span.open || span.endUs > known.endUs))) byId.set(span.spanId, span);
  }
  return [...byId.values()];
}

/** Digits of the greatest number of microseconds: places are compared as text. */
const DIGITS = 16;

/** Where a span stands in its trace, by its start: another one that comes or goes moves no page. */
const placeOf = ({ startUs, spanId }: KeptSpan): string => `${String(startUs).padStart(DIGITS, '0')}-${spanId}`;

function summary(traceId: string, spans: readonly KeptSpan[]): TraceSummary {
  let [start, end, failed] = [Number.POSITIVE_INFINITY, 0, 0];
  for (const span of spans) {
    start = Math.min(start, span.startUs);
    end = Math.max(end, span.endUs);
    if (span.failed) failed++;
  }
  const first = spans.reduce((a, b) => (b.startUs < a.startUs ? b : a));
  const { name, service, sender } = spans.find(({ isRoot }) => isRoot) ?? first;
  const times = { startUs: String(start), durationUs: String(end - start) };
  return { traceId, name, service, sender, ...times, spans: spans.length, failed };
}
