import type { Span } from '../../../libs/wire/hivebus/telemetry/v1/telemetry.ts';

export interface RingBounds {
  readonly maxSpans: number;
  /** Of the spans as text; the memory that they take is about twice that. */
  readonly maxBytes: number;
}

/** A span as it is kept: as text, which is a fifth of the object, and what traces are found by. */
export interface KeptSpan {
  readonly json: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly startUs: number;
  readonly endUs: number;
  readonly failed: boolean;
  readonly name: string;
  readonly service: string;
  readonly sender: string;
  /** It had not ended when it was handed in. */
  readonly open: boolean;
  /** The trace begins with it. */
  readonly isRoot: boolean;
  /** It is a whole run of a program, such as a command of `hivebus`. */
  readonly isProgram: boolean;
  readonly correlationId: string;
}

/** What is kept of one trace, in the order of coming. */
export interface KeptTrace {
  readonly spans: readonly KeptSpan[];
  /** How many were here and gave way to newer ones. */
  readonly dropped: number;
}

/** The newest spans, by trace. The oldest give way when there are too many, or too many bytes of them. */
export class SpanRing {
  readonly #bounds: RingBounds;
  readonly #traces = new Map<string, { spans: KeptSpan[]; dropped: number }>();
  #queue: KeptSpan[] = [];
  #head = 0;
  #bytes = 0;

  constructor(bounds: RingBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#queue.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  add(span: Span): void {
    const kept = keep(span);
    const { traceId, json } = kept;
    this.#queue.push(kept);
    this.#bytes += json.length;
    const trace = this.#traces.get(traceId);
    if (trace) trace.spans.push(kept);
    else this.#traces.set(traceId, { spans: [kept], dropped: 0 });
    const { maxSpans, maxBytes } = this.#bounds;
    while (this.size > maxSpans || this.#bytes > maxBytes) this.#dropOldest();
  }

  trace(traceId: string): KeptTrace | undefined {
    return this.#traces.get(traceId);
  }

  traces(): Iterable<readonly [traceId: string, trace: KeptTrace]> {
    return this.#traces;
  }

  #dropOldest(): void {
    const oldest = this.#queue[this.#head++] as KeptSpan;
    if (this.#head > 1024 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    this.#bytes -= oldest.json.length;
    const trace = this.#traces.get(oldest.traceId);
    if (!trace) return;
    trace.spans.shift(); // within a trace, too, the oldest is the first
    trace.dropped++;
    if (trace.spans.length === 0) this.#traces.delete(oldest.traceId);
  }
}

function keep(span: Span): KeptSpan {
  const { traceId, spanId, name, service, sender, open, failed, attributes } = span;
  const startUs = Number(span.startUs);
  return {
    json: JSON.stringify(span),
    ...{ traceId, spanId, startUs, endUs: startUs + Number(span.durationUs) },
    ...{ name, service, sender, open, failed },
    isRoot: span.parentSpanId === '',
    isProgram: (attributes['process.executable.name'] ?? '') !== '',
    correlationId: attributes['hivebus.correlation_id'] ?? '',
  };
}
