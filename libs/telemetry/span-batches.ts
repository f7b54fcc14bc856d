import { SpanKind } from '@opentelemetry/api';
import type { tracing } from '@opentelemetry/sdk-node';
import type { Clock } from '../kernel/clock.ts';
import { systemClock } from '../kernel/clock.ts';
import type { Span } from '../wire/hivebus/telemetry/v1/telemetry.ts';
import { wireSpan } from './wire-span.ts';

/** Hands spans to whoever keeps them. Rejects when nobody does, or when they were not taken. */
export type SendSpans = (spans: readonly Span[]) => Promise<unknown>;

export interface SpanBatchesOptions {
  /** Names this process among those of its service. */
  readonly instance: string;
  readonly clock?: Clock;
  /** How long spans wait for others, in milliseconds. */
  readonly everyMs?: number;
  /** Spans that wait at a time; beyond, the newest are dropped. */
  readonly maxWaiting?: number;
  /** After a failure so long nothing is kept or sent, in milliseconds: nobody listens, most likely. */
  readonly pauseMs?: number;
}

const DEFAULTS = { everyMs: 200, maxWaiting: 4096, pauseMs: 10_000 };
/** What has not ended after so long is sent as it is, in milliseconds: its process may die before it ends. */
const OPEN_MS = 1000;
/**
 * Work that somebody has taken on is sent as it begins and as it ends, no more often than this, in milliseconds: of all
 * spans its is the one that is looked for when its process is killed.
 */
const WORK_EVERY_MS = 20;
/** Of one message: it stays far below what the bus carries. */
const MAX_SPANS = 256;
const MAX_CHARACTERS = 256 * 1024;

/**
 * Sends finished spans in batches to whoever keeps them on the bus. They are for people: nothing waits for them, nothing
 * is tried twice, and what finds nobody is dropped.
 */
export class SpanBatches implements tracing.SpanProcessor {
  readonly #options: SpanBatchesOptions & typeof DEFAULTS;
  readonly #clock: Clock;
  #send: SendSpans | undefined;
  #waiting: Span[] = [];
  #timer: Disposable | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #sentAt = Number.NEGATIVE_INFINITY;
  /** Those that have begun, by when, the oldest first. */
  readonly #open = new Map<tracing.ReadableSpan, number>();
  #looking: Disposable | undefined;
  #sending: Promise<void> = Promise.resolve();
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: SpanBatchesOptions) {
    this.#options = { ...DEFAULTS, ...options };
    this.#clock = options.clock ?? systemClock;
  }

  /** From now on there is a way to send; what waits goes with the next batch. The newest way counts. */
  sendBy(send: SendSpans): void {
    this.#send = send;
    if (this.#waiting.length > 0) this.#within(this.#options.everyMs);
  }

  onStart(span: tracing.Span): void {
    if (span.kind === SpanKind.CONSUMER) this.#keep(this.#openSpan(span), this.#soon());
    if (this.#open.size < this.#options.maxWaiting) this.#open.set(span, this.#clock.monotonic());
    this.#lookAtOpen();
  }

  onEnd(span: tracing.ReadableSpan): void {
    this.#open.delete(span);
    this.#keep(wireSpan(span, this.#options.instance), span.kind === SpanKind.CONSUMER ? this.#soon() : undefined);
  }

  #openSpan(span: tracing.ReadableSpan): Span {
    return openSpan(span, this.#options.instance, this.#clock.now());
  }

  #keep(span: Span, withinMs = this.#options.everyMs): void {
    const { maxWaiting } = this.#options;
    if (this.#closed || this.#waiting.length >= maxWaiting || this.#clock.monotonic() < this.#pausedUntil) return;
    if (this.#waiting.push(span) % MAX_SPANS === 0) void this.forceFlush();
    else this.#within(withinMs);
  }

  /** Spans that have been open for a while are sent once as they are. */
  #lookAtOpen(): void {
    if (this.#looking || this.#open.size === 0 || this.#closed) return;
    this.#looking = this.#clock.after(OPEN_MS, () => {
      this.#looking = undefined;
      const before = this.#clock.monotonic() - OPEN_MS / 2;
      for (const [span, since] of this.#open) {
        if (since > before) break;
        this.#open.delete(span);
        this.#keep(this.#openSpan(span));
      }
      this.#lookAtOpen();
    });
  }

  /** Sends what waits. Resolves when it was taken or dropped; never rejects. */
  forceFlush(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#sentAt = this.#clock.monotonic();
    const send = this.#send;
    if (send) this.#sending = this.#sending.then(() => this.#sendAll(send));
    return this.#sending;
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    this.#closed = true;
    this.#looking?.[Symbol.dispose]();
  }

  #soon(): number {
    return Math.max(0, WORK_EVERY_MS - (this.#clock.monotonic() - this.#sentAt));
  }

  /** What waits is sent after so long at most, in milliseconds. */
  #within(ms: number): void {
    const dueAt = this.#clock.monotonic() + ms;
    if (!this.#send || dueAt >= this.#dueAt) return;
    this.#timer?.[Symbol.dispose]();
    this.#dueAt = dueAt;
    this.#timer = this.#clock.after(ms, () => void this.forceFlush());
  }

  async #sendAll(send: SendSpans): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, fitting(this.#waiting));
      try {
        await send(batch);
      } catch {
        this.#waiting = [];
        this.#pausedUntil = this.#clock.monotonic() + this.#options.pauseMs;
      }
    }
  }
}

function openSpan(span: tracing.ReadableSpan, instance: string, nowMs: number): Span {
  const sent = wireSpan(span, instance);
  return { ...sent, open: true, durationUs: String(Math.max(0, nowMs * 1000 - Number(sent.startUs))) };
}

/** How many of them fit into one message. */
function fitting(spans: readonly Span[]): number {
  let characters = 0;
  const end = spans.slice(0, MAX_SPANS).findIndex((span) => {
    characters += JSON.stringify(span).length;
    return characters > MAX_CHARACTERS;
  });
  return end < 0 ? MAX_SPANS : Math.max(1, end);
}
