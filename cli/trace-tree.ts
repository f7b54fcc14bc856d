import { ATTRIBUTE } from '../libs/telemetry/attributes.ts';
import type { Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';

/** A span with what it consists of, by when that began. */
export interface Branch {
  readonly span: Span;
  readonly parts: readonly Branch[];
  /** What it is a part of is not kept: its process died, it runs still, or it gave way to newer ones. */
  readonly isOrphan: boolean;
  /** The worst that happened in it and in its parts. */
  readonly trouble: Trouble;
  /** When the last of it ended, in microseconds since 1970. */
  readonly endUs: number;
}

/** again: a message was sent again. wrong: an error, an end that nobody saw, or a second attempt. */
export type Trouble = 'none' | 'again' | 'wrong';

const WORSE: readonly Trouble[] = ['none', 'again', 'wrong'];

/** How much is below a span that is shown there; no trace of ours is nearly as deep. */
const MAX_DEPTH = 100;

/**
 * Spans as trees: the beginnings first, then what has lost its place. Whoever reaches the bus may have sent them, so
 * parents may be missing and even go in circles; each span comes exactly once.
 */
export function treesOf(spans: readonly Span[]): Branch[] {
  const sorted = [...spans].sort((a, b) => Number(a.startUs) - Number(b.startUs));
  const known = new Set(sorted.map(({ spanId }) => spanId));
  const parts = grouped(sorted, ({ parentSpanId }) => (known.has(parentSpanId) ? parentSpanId : ''));
  const seen = new Set<Span>();
  const grow = (span: Span, depth: number): Branch[] => {
    if (seen.has(span) || depth > MAX_DEPTH) return [];
    seen.add(span);
    const below = (parts.get(span.spanId) ?? []).flatMap((part) => grow(part, depth + 1));
    const isOrphan = depth === 0 && span.parentSpanId !== '';
    const trouble = worst([ownTrouble(span), ...below.map((one) => one.trouble)]);
    const ownEndUs = Number(span.startUs) + Number(span.durationUs);
    const endUs = below.reduce((latest, one) => Math.max(latest, one.endUs), ownEndUs);
    return [{ span, parts: below, isOrphan, trouble, endUs }];
  };
  const tops = parts.get('') ?? [];
  const begins = tops.filter(({ parentSpanId }) => parentSpanId === '');
  return [...begins, ...tops, ...sorted].flatMap((span) => grow(span, 0));
}

function ownTrouble({ failed, open, events, attributes }: Span): Trouble {
  if (failed || open || Number(attributes[ATTRIBUTE.attempt] ?? 1) > 1) return 'wrong';
  return events.length > 0 ? 'again' : 'none';
}

const worst = (all: readonly Trouble[]): Trouble => WORSE.findLast((one) => all.includes(one)) ?? 'none';

/** By key, each group in the order of `items`. Map.groupBy, which Node 20 has not. */
export function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
