import { columnWidths, fields, GAP, grid, plainLength, terminalWidth } from './output.ts';

/**
 * Rows under a head, not wider than `width` characters, in which nothing is cut: what is too wide goes on in the next
 * line of its column. For tables that are read, not scanned. The widest columns give way first, none below its longest
 * word while another can; words are broken only when there is no other way.
 */
export function wrappedTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width = terminalWidth(),
): string {
  const widths = fitting(head, rows, width);
  return grid(
    widths,
    rows.flatMap((row) => linesOf(row, widths)),
    head,
  );
}

function fitting(head: readonly string[], rows: readonly (readonly string[])[], width: number): number[] {
  const widths = columnWidths(head, rows, Number.POSITIVE_INFINITY);
  const words = head.map((title, i) => Math.max(...[title, ...rows.map((row) => row[i] ?? '')].map(longestWord)));
  const excess = () => widths.reduce((sum, each) => sum + each + GAP, -GAP) - width;
  const narrow = (least: readonly number[]) => {
    for (; excess() > 0; ) {
      const spare = widths.map((each, i) => (each > (least[i] ?? 0) ? each : 0));
      const widest = spare.indexOf(Math.max(...spare));
      if (spare[widest] === 0) return;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
  };
  narrow(words);
  narrow(head.map((title) => Math.max(1, title.length)));
  return widths;
}

const longestWord = (text: string): number => Math.max(...text.split(' ').map(plainLength));

/**
 * Names and values, one below the other, without what is empty and not wider than `width`: what is longer goes on below
 * its beginning. Words are never broken, since values are copied.
 */
export function wrappedFacts(pairs: readonly (readonly [string, string])[], width = terminalWidth()): string {
  const known = pairs.filter(([, value]) => value !== '');
  const room = width - GAP - Math.max(...known.map(([name]) => name.length));
  return fields(
    known.flatMap(([name, value]) =>
      wrapped(value, Math.max(room, longestWord(value))).map((line, i): [string, string] => [
        i === 0 ? name : '',
        line,
      ]),
    ),
  );
}

/** A row as the lines that it takes. */
function linesOf(row: readonly string[], widths: readonly number[]): string[][] {
  const cells = widths.map((width, i) => wrapped(row[i] ?? '', width));
  const count = Math.max(...cells.map(({ length }) => length));
  return Array.from({ length: count }, (_, line) => cells.map((cell) => cell[line] ?? ''));
}

/** A text in lines of at most `width` characters, broken between words where that can be. */
export function wrapped(text: string, width: number): string[] {
  if (plainLength(text) <= width) return [text];
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => pieces(each, width))) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (plainLength(longer) <= width) line = longer;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

function pieces(word: string, width: number): string[] {
  if (plainLength(word) <= width) return [word];
  return Array.from({ length: Math.ceil(word.length / width) }, (_, i) => word.slice(i * width, (i + 1) * width));
}
