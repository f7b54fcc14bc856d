import { formatDuration } from '../libs/kernel/durations.ts';
import type { Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import type { Row } from './trace-fold.ts';

export interface Range {
  readonly startUs: number;
  readonly endUs: number;
}

/** Widths; `subject` is 0 where there is no room for it. */
export interface Columns {
  readonly name: number;
  readonly service: number;
  readonly bar: number;
  readonly subject: number;
}

/** Characters of a duration. */
export const TOOK = 7;

/** `│ ├ `; what has lost its place begins with `┄ `. */
export function treeMarks(row: Row): string {
  const { more } = row;
  if (more.length === 0) return row.kind === 'span' && row.isOrphan ? '┄ ' : '';
  const above = more.slice(0, -1).map((follows) => (follows ? '│ ' : '  '));
  return `${above.join('')}${more.at(-1) ? '├ ' : '└ '}`;
}

/** Where a bar begins, and how long it is, in characters. */
export function barOf(fromUs: number, durationUs: number, width: number, { startUs, endUs }: Range): [number, number] {
  const scale = width / Math.max(1, endUs - startUs);
  const from = Math.min(width - 1, Math.floor((fromUs - startUs) * scale));
  return [from, Math.max(1, Math.min(width - from, Math.round(durationUs * scale)))];
}

export function rangeOf(spans: readonly Span[]): Range {
  let [startUs, endUs] = [Number.POSITIVE_INFINITY, 0];
  for (const span of spans) {
    startUs = Math.min(startUs, Number(span.startUs));
    endUs = Math.max(endUs, Number(span.startUs) + Number(span.durationUs));
  }
  return { startUs, endUs };
}

/** `340µs`, `2.1ms`, `85ms`, `1.2s`; with a `+` when it goes on. */
export function took(us: number, isOpen = false): string {
  const text =
    us < 1000 ? `${Math.round(us)}µs` : us < 10_000 ? `${(us / 1000).toFixed(1)}ms` : formatDuration(us / 1000);
  return isOpen ? `${text}+` : text;
}

export const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
