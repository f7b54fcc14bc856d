import { ATTRIBUTE } from '../libs/telemetry/attributes.ts';
import type { Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { type Branch, grouped } from './trace-tree.ts';

/** Branches that look like one that is shown, and are not shown themselves. */
export interface Fold {
  readonly count: number;
  /** How many of them have an error, an end that nobody saw, or a second attempt somewhere in them. */
  readonly wrong: number;
  /** Of the spans that they begin with, in microseconds. */
  readonly longestUs: number;
  readonly totalUs: number;
  /** From the first one's beginning to the end of the last thing in any of them. */
  readonly startUs: number;
  readonly endUs: number;
}

/** A line of a trace. */
export type Row = {
  /** For each level above, whether more follows there; the last one is the row's own. Empty: a beginning. */
  readonly more: readonly boolean[];
} & (
  | { readonly kind: 'span'; readonly span: Span; readonly isOrphan: boolean }
  | { readonly kind: 'fold'; readonly fold: Fold }
);

/** Of similar siblings so many are shown because of what happened in them; the worst come first. */
const MAX_TROUBLED = 5;
/** A single one that is left out would take the same room as the line that says so. */
const LEAST_HIDDEN = 2;

/** Everything, in the order in which it is read: each below what it is a part of. */
export const allRows = (branches: readonly Branch[]): Row[] => rowsOf(branches, (siblings) => siblings);

/**
 * The same without repetition. Of siblings with the same name, by the same service, the first one in which all went well
 * is shown, and those in which something did not; a line below the first says what is left out.
 */
export const foldedRows = (branches: readonly Branch[]): Row[] => rowsOf(branches, foldSiblings);

const isFold = (item: Branch | Fold): item is Fold => 'count' in item;

function rowsOf(
  branches: readonly Branch[],
  chosen: (siblings: readonly Branch[]) => readonly (Branch | Fold)[],
  above: readonly boolean[] = [],
  isTop = true,
): Row[] {
  const items = chosen(branches);
  return items.flatMap((item, i): Row[] => {
    const more = isTop ? [] : [...above, i < items.length - 1];
    if (isFold(item)) return [{ kind: 'fold', fold: item, more }];
    const { span, isOrphan, parts } = item;
    return [{ kind: 'span', span, isOrphan, more }, ...rowsOf(parts, chosen, more, false)];
  });
}

function foldSiblings(siblings: readonly Branch[]): readonly (Branch | Fold)[] {
  const hidden = new Set<Branch>();
  const foldBelow = new Map<Branch, Fold>();
  for (const group of grouped(siblings, looks).values()) {
    const shown = shownOf(group);
    const others = group.filter((each) => !shown.has(each));
    const first = group.find((each) => shown.has(each));
    if (others.length < LEAST_HIDDEN || !first) continue;
    for (const each of others) hidden.add(each);
    foldBelow.set(group.find((each) => shown.has(each) && each.trouble === 'none') ?? first, foldOf(others));
  }
  return siblings.flatMap((each) => {
    const fold = foldBelow.get(each);
    if (hidden.has(each)) return [];
    return fold ? [each, fold] : [each];
  });
}

/** What a sibling is like, for whoever looks at its line. */
const looks = ({ span: { name, kind, service, attributes }, isOrphan }: Branch): string =>
  JSON.stringify([name, kind, service, attributes[ATTRIBUTE.service] ?? '', isOrphan]);

function shownOf(group: readonly Branch[]): ReadonlySet<Branch> {
  const having = (trouble: Branch['trouble']) => group.filter((each) => each.trouble === trouble);
  const troubled = [...having('wrong'), ...having('again')].slice(0, MAX_TROUBLED);
  return new Set([...having('none').slice(0, 1), ...troubled]);
}

function foldOf(others: readonly Branch[]): Fold {
  let [longestUs, totalUs, startUs, endUs] = [0, 0, Number.POSITIVE_INFINITY, 0];
  for (const { span, endUs: end } of others) {
    const duration = Number(span.durationUs);
    longestUs = Math.max(longestUs, duration);
    totalUs += duration;
    startUs = Math.min(startUs, Number(span.startUs));
    endUs = Math.max(endUs, end);
  }
  const wrong = others.filter(({ trouble }) => trouble === 'wrong').length;
  return { count: others.length, wrong, longestUs, totalUs, startUs, endUs };
}
