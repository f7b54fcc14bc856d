import type { Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';

/** A span in its place. */
export interface Row {
  readonly span: Span;
  /** For each level above, whether more follows there; the last one is the span's own. Empty: a beginning. */
  readonly more: readonly boolean[];
  /** What it is a part of is not kept: its process died, it runs still, or it gave way to newer ones. */
  readonly isOrphan: boolean;
}

/**
 * Spans in the order in which they are read: each below what it is a part of, by when they began. Whoever reaches the
 * bus may have sent them, so parents may be missing and even go in circles; each span comes exactly once.
 */
export function treeOf(spans: readonly Span[]): Row[] {
  const sorted = [...spans].sort((a, b) => Number(a.startUs) - Number(b.startUs));
  const known = new Set(sorted.map(({ spanId }) => spanId));
  const children = new Map<string, Span[]>();
  for (const span of sorted) {
    const under = known.has(span.parentSpanId) ? span.parentSpanId : '';
    children.set(under, [...(children.get(under) ?? []), span]);
  }
  const rows: Row[] = [];
  const seen = new Set<Span>();
  const visit = (span: Span, more: readonly boolean[]) => {
    if (seen.has(span)) return;
    seen.add(span);
    rows.push({ span, more, isOrphan: more.length === 0 && span.parentSpanId !== '' });
    const parts = children.get(span.spanId) ?? [];
    parts.forEach((part, i) => void visit(part, [...more, i < parts.length - 1]));
  };
  const [begins, orphans] = split(children.get('') ?? [], ({ parentSpanId }) => parentSpanId === '');
  for (const span of [...begins, ...orphans, ...sorted]) visit(span, []);
  return rows;
}

const split = <T>(items: readonly T[], isFirst: (item: T) => boolean): [T[], T[]] => [
  items.filter(isFirst),
  items.filter((item) => !isFirst(item)),
];
