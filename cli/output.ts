import Table from 'cli-table3';
import pc from 'picocolors';
import { stringify } from 'yaml';
import { counted } from '../libs/kernel/counted.ts';
import { colouredLine, colouredText, plainText } from './printable.ts';

export const FORMATS = ['table', 'wide', 'json', 'yaml', 'name'] as const;
/** table: for people; wide: the same, however wide it gets; name: `KIND/NAME` for each item, where a command answers with items. */
export type Format = (typeof FORMATS)[number];

/**
 * Where a command's answers go: data to standard output, everything else to standard error. What is for people has no
 * control characters but our colours, whoever wrote the text; see printable.ts.
 */
export interface Output {
  readonly format: Exclude<Format, 'wide'>;
  /** True where a person looks on. */
  readonly interactive: boolean;
  /** One answer: as JSON or YAML, as its `names`, or as whatever `human` makes of it. */
  data(value: unknown, human: () => string, names?: () => readonly string[]): void;
  /** One of many answers, on a line of its own; in YAML a document of its own. */
  line(value: unknown, human: () => string): void;
  /** The same for a line of a program's output: in a pipe it is as the program wrote it. */
  programLine(value: unknown, text: string, paint: (text: string) => string): void;
  /** For people, never data. */
  note(text: string): void;
  /** What is being done now, on a line that the next one replaces; only where a person looks on. Empty = nothing. */
  progress(text: string): void;
}

export function createOutput(asked: Format, out: NodeJS.WriteStream, err: NodeJS.WriteStream): Output {
  isWide = asked === 'wide';
  const format = asked === 'wide' ? 'table' : asked;
  // `hivebus ... | head` closes the pipe when it has seen enough: that is no fault of anybody.
  out.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  let progressing = false;
  const progress = (text: string) => {
    if (!err.isTTY || (text === '' && !progressing)) return;
    err.write(`\r\x1b[K${plainText(text)}`);
    progressing = text !== '';
  };
  const write = (text: string) => {
    progress('');
    out.write(`${text}\n`);
  };
  const show = (text: string) => write(colors.isColorSupported ? colouredText(text) : plainText(text));
  const line: Output['line'] = (value, human) => {
    if (format === 'json') write(JSON.stringify(value));
    else if (format === 'yaml') write(`---\n${yamlOf(value)}`);
    else show(human());
  };
  return {
    format,
    interactive: Boolean(out.isTTY) && format === 'table',
    data: (value, human, names) => {
      if (format === 'json') write(JSON.stringify(value, undefined, 2));
      else if (format === 'yaml') write(yamlOf(value));
      else if (format === 'table' || !names) show(human());
      else for (const name of names()) show(name);
    },
    line,
    programLine: (value, text, paint) => {
      if (format === 'json' || format === 'yaml') line(value, () => text);
      else write(out.isTTY ? paint(wholeColours(colouredText(text))) : paint(text));
    },
    note: (text) => {
      progress('');
      err.write(`${plainText(text)}\n`);
    },
    progress,
  };
}

/** A program's colours end with its line. */
const wholeColours = (text: string): string => (text.includes('\x1b') ? `${text}\x1b[0m` : text);

/** Long lines are not folded: people search in them. Readers of YAML 1.1 take a bare `yes` for true: it is quoted. */
export const yamlOf = (value: unknown): string =>
  stringify(value ?? null, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' }).trimEnd();

/** Colours where a person looks on; NO_COLOR turns them off. */
export const colors = pc.createColors(Boolean(process.stdout.isTTY) && !process.env.NO_COLOR);

/** Characters between two columns. */
export const GAP = 2;
/** Columns that are no wider are never cut. */
const WHOLE = 12;

/**
 * Rows under a head, without lines, not wider than `width` characters. The first column names the row and is never cut.
 * Of the others the widest give way, cells being cut with …; then the last columns are left out.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[], width = terminalWidth()): string {
  return grid(columnWidths(head, rows, width), rows, head);
}

/** A table of at most `most` columns, and below it which ones there was no room for. */
export function listing(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width = terminalWidth(),
  most = head.length,
): string {
  const titles = head.slice(0, most);
  const note = leftOutText(head.slice(columnWidths(titles, rows, width).length), width);
  return table(titles, rows, width) + (note === '' ? '' : `\n${colors.dim(note)}`);
}

/** Which columns are not shown, and how to see them; empty = all are. */
export function leftOutText(titles: readonly string[], width = terminalWidth()): string {
  if (titles.length === 0) return '';
  const named = titles.filter((title) => title !== '').join(' ');
  const text = `not shown: ${named} (-o wide shows all)`;
  return named !== '' && text.length <= width ? text : `${counted(titles.length, 'column')} not shown (-o wide)`;
}

/** Widths of the columns that `table` shows. */
export function columnWidths(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width = terminalWidth(),
): number[] {
  const natural = head.map((title, i) => Math.max(title.length, ...rows.map((row) => plainLength(row[i]))));
  return fitting(natural, width);
}

/** Rows in columns of these widths; what is wider is cut. */
export function grid(widths: readonly number[], rows: readonly (readonly string[])[], head: readonly string[] = []) {
  const drawn = new Table({
    head: head.slice(0, widths.length).map((title) => colors.dim(title)),
    colWidths: widths.map((each) => each + GAP),
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': GAP },
    chars: NO_LINES,
  });
  drawn.push(...rows.map((row) => row.slice(0, widths.length).map(colouredLine)));
  const lines = drawn.toString().split('\n');
  return lines.map((line) => line.trimEnd()).join('\n');
}

/** First which columns are shown, each narrow enough; then those that are give way, only as far as they must. */
function fitting(natural: readonly number[], width: number): number[] {
  const excess = (widths: readonly number[]) => widths.reduce((sum, each) => sum + each + GAP, -GAP) - width;
  const least = natural.map((each, i) => (i === 0 ? each : Math.min(each, WHOLE)));
  while (least.length > 1 && excess(least) > 0) least.pop();
  const widths = natural.slice(0, least.length);
  while (widths.length > 1 && excess(widths) > 0) {
    const rest = widths.slice(1);
    const widest = 1 + rest.indexOf(Math.max(...rest));
    widths[widest] = (widths[widest] as number) - 1;
  }
  return widths;
}

/** Names and values, one below the other. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${colors.dim(name.padEnd(width))}  ${colouredLine(value)}`).join('\n');
}

/** The same, without what is empty. */
export const facts = (pairs: readonly (readonly [string, string])[]): string =>
  fields(pairs.filter(([, value]) => value !== ''));

/** Lines may be as long as they are, also on a terminal: said by -o wide, for the whole of a process. */
let isWide = false;

/** Of a terminal that says it has none, as one does that was opened without a size. */
const USUAL_WIDTH = 80;

/** Characters of a line; no limit where nobody looks on. */
export const terminalWidth = (): number =>
  process.stdout.isTTY && !isWide ? process.stdout.columns || USUAL_WIDTH : Number.POSITIVE_INFINITY;

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
const visibleLength = (text: string): number => text.replace(/\x1b\[\d+m/g, '').length;

/** Characters that a cell takes on the screen. */
export const plainLength = (cell = ''): number => visibleLength(colouredLine(cell));

const NO_LINES = {
  ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
  ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
  ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '' },
};
