import { columnWidths } from './output.ts';

/** Characters that a column has at least: what comes later is often longer than what was there first. */
const ROOM = 12;

/**
 * Widths of columns under which rows come in, some at a time: they stay, so that rows stand below their head. They grow
 * where the terminal has room, and move when a name, which is never cut, would not fit; then the head is due again.
 */
export class Columns {
  readonly #head: readonly string[];
  readonly #width: number | undefined;
  #widths: readonly number[] | undefined;

  /** `width`: of the terminal, in characters; undefined = as it is. */
  constructor(head: readonly string[], width?: number) {
    this.#head = head;
    this.#width = width;
  }

  /** The widths for these rows; `moved` when they are not those of the head that was shown last. */
  place(rows: readonly (readonly string[])[]): { widths: readonly number[]; moved: boolean } {
    const before = this.#widths ?? this.#head.map(() => ROOM);
    const least = before.map((width) => ' '.repeat(width));
    const head = this.#head.slice(0, before.length);
    const next = columnWidths(head, [least, ...rows.map((row) => row.slice(0, before.length))], this.#width);
    const shown = this.#widths;
    const gaveWay = next.length < before.length || next.some((width, i) => width < (before[i] ?? 0));
    const namesFit = rows.every(([name = '']) => name.length <= (before[0] ?? 0));
    if (shown && gaveWay && namesFit) return { widths: shown, moved: false };
    this.#widths = next;
    return { widths: next, moved: next.length !== shown?.length || next.some((width, i) => width !== shown[i]) };
  }
}
