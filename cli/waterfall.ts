import { counted } from '../libs/kernel/counted.ts';
import { ATTRIBUTE } from '../libs/telemetry/attributes.ts';
import type { GetTraceResponse, Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { colors, GAP } from './output.ts';
import { plainLine } from './printable.ts';
import { allRows, type Fold, foldedRows, type Row } from './trace-fold.ts';
import { treesOf } from './trace-tree.ts';
import { barOf, type Columns, cut, type Range, rangeOf, TOOK, took, treeMarks } from './waterfall-layout.ts';

export interface WaterfallOptions {
  /** Characters of a line, at least 60. */
  readonly width: number;
  /** A line for each span, however often the same comes; default: what repeats is folded. */
  readonly all?: boolean;
}

/**
 * A trace for people: a line for each span with its name in the tree, who did it, how long it took, and when, as a bar;
 * from 120 columns on the subject of its message, too. What went wrong stands below, in red.
 */
export function waterfall(trace: Pick<GetTraceResponse, 'spans' | 'missing'>, options: WaterfallOptions): string {
  const { spans, missing } = trace;
  const { width, all = false } = options;
  const rows = (all ? allRows : foldedRows)(treesOf(spans));
  const range = rangeOf(spans);
  const serviceOf = servicesOf(spans);
  const columns = columnsFor(rows, serviceOf, width);
  const nameById = new Map(spans.map((span) => [span.spanId, nameOf(span)]));
  const firstLost = rows.find((row) => row.kind === 'span' && row.isOrphan);
  const lines = rows.flatMap((row) => [
    ...(row === firstLost ? [colors.yellow(cut(LOST, width))] : []),
    ...(row.kind === 'fold'
      ? [foldLine(row, columns, range)]
      : [line(row, serviceOf(row.span), columns, range), ...notes(row, nameById, width)]),
  ]);
  const more = missing > 0 ? [colors.yellow(`${missing} more spans are not shown, or are no longer kept`)] : [];
  return [...summary(spans, serviceOf, range, width), '', headOf(columns, range), ...lines, ...more].join('\n');
}

const LOST = 'parts of what was never handed in, as of a killed process, or is no longer kept:';

type SpanRow = Extract<Row, { kind: 'span' }>;
type FoldRow = Extract<Row, { kind: 'fold' }>;

const WIDE = 120;
const LEAST_BAR = 14;

function columnsFor(rows: readonly Row[], serviceOf: ServiceOf, width: number): Columns {
  const isWide = width >= WIDE;
  const widest = (texts: readonly string[]) => Math.max(7, ...texts.map((text) => text.length));
  const shown = rows.filter((row) => row.kind === 'span');
  const service = Math.min(widest(shown.map(({ span }) => serviceOf(span))), isWide ? 20 : 13);
  const room = width - service - TOOK - 3 * GAP;
  const folds = rows.filter((row) => row.kind === 'fold');
  const foldWidth = widest(folds.map((row) => foldMarks(row) + foldParts(row.fold).join(', ')));
  const name = Math.min(
    Math.max(widest(shown.map((row) => treeMarks(row) + nameOf(row.span))), foldWidth - service - TOOK - 2 * GAP),
    isWide ? room >> 1 : room - LEAST_BAR,
  );
  const rest = room - name;
  if (!isWide) return { name, service, bar: rest, subject: 0 };
  const subject = Math.min(widest(shown.map(({ span }) => subjectOf(span))), rest - GAP - LEAST_BAR);
  return { name, service, bar: rest - subject - GAP, subject };
}

function summary(spans: readonly Span[], serviceOf: ServiceOf, range: Range, width: number): string[] {
  const services = new Set(spans.map(serviceOf)).size;
  const errors = spans.filter(({ failed }) => failed).length;
  const counts = [
    took(range.endUs - range.startUs),
    counted(spans.length, 'span'),
    counted(services, 'service'),
    ...(errors > 0 ? [colors.red(counted(errors, 'error'))] : []),
  ];
  const began = new Date(range.startUs / 1000).toISOString();
  const correlations = [...new Set(spans.map(({ attributes }) => attributes[ATTRIBUTE.correlationId] ?? ''))];
  return [
    `trace        ${colors.bold(spans[0]?.traceId ?? '')}`,
    `correlation  ${cut(plainLine(correlations.filter((id) => id !== '').join(', ')) || '-', width - 13)}`,
    `began        ${began}`,
    `took         ${counts.join(', ')}`,
  ];
}

function headOf({ name, service, bar, subject }: Columns, range: Range): string {
  const end = took(range.endUs - range.startUs);
  const scale = `0${end.padStart(bar - 1)}`;
  const head = ['NAME'.padEnd(name), 'SERVICE'.padEnd(service), 'TOOK'.padStart(TOOK), scale];
  return colors.dim([...head, ...(subject > 0 ? ['SUBJECT'] : [])].join(' '.repeat(GAP)).trimEnd());
}

function line(row: SpanRow, service: string, columns: Columns, range: Range): string {
  const { span } = row;
  const marks = treeMarks(row);
  const name = cut(marks + nameOf(span), columns.name).padEnd(columns.name);
  const paint = span.failed ? colors.red : (text: string) => text;
  const cells = [
    colors.dim(name.slice(0, marks.length)) + paint(name.slice(marks.length)),
    colors.dim(cut(service, columns.service).padEnd(columns.service)),
    paint(took(Number(span.durationUs), span.open).padStart(TOOK)),
    bar(span, columns.bar, range),
    ...(columns.subject > 0 ? [colors.dim(cut(subjectOf(span), columns.subject))] : []),
  ];
  return cells.join(' '.repeat(GAP)).trimEnd();
}

/** What is left out, over the columns of a span's line, and when that was. */
function foldLine(row: FoldRow, { name, service, bar }: Columns, range: Range): string {
  const { startUs, endUs, wrong } = row.fold;
  const marks = foldMarks(row);
  const room = name + service + TOOK + 2 * GAP - marks.length;
  const parts = foldParts(row.fold);
  while (parts.length > 1 && parts.join(', ').length > room) parts.pop();
  const text = cut(parts.join(', '), room).padEnd(room);
  const [from, length] = barOf(startUs, endUs - startUs, bar, range);
  const drawn = ' '.repeat(GAP + from) + '┈'.repeat(length);
  return colors.dim(marks) + (wrong > 0 ? colors.red : colors.dim)(text) + colors.dim(drawn);
}

const foldMarks = (row: FoldRow): string => `${treeMarks(row)}⋮ `;

/** What is said of it, what is wanted most first. */
const foldParts = ({ count: number, wrong, longestUs, totalUs }: Fold): string[] => [
  `${number} more like this`,
  ...(wrong > 0 ? [`${wrong} with errors`] : []),
  `longest ${took(longestUs)}`,
  `${took(totalUs)} in all`,
];

function bar(span: Span, width: number, range: Range): string {
  const [from, length] = barOf(Number(span.startUs), Number(span.durationUs), width, range);
  const paint = span.failed ? colors.red : KIND_COLOURS[span.kind];
  // Of what has not ended nobody knows how long it takes.
  const drawn = span.open ? '━'.repeat(length) + '╌'.repeat(Math.max(0, width - from - length)) : '━'.repeat(length);
  return ' '.repeat(from) + paint(drawn) + ' '.repeat(width - from - drawn.length);
}

const KIND_COLOURS: Readonly<Record<Span['kind'], (text: string) => string>> = {
  SPAN_KIND_UNSPECIFIED: colors.white,
  SPAN_KIND_INTERNAL: colors.white,
  SPAN_KIND_SERVER: colors.green,
  SPAN_KIND_CLIENT: colors.cyan,
  SPAN_KIND_PRODUCER: colors.blue,
  SPAN_KIND_CONSUMER: colors.magenta,
};

/** Links named before "and so many more". */
const MAX_NAMED = 2;

/** What a span's line has no room for, each on a line of its own below it. */
function notes({ span, more }: SpanRow, nameById: ReadonlyMap<string, string>, width: number): string[] {
  const indent = `${more.map((follows) => (follows ? '│ ' : '  ')).join('')}  `.slice(0, width / 2);
  const note = (text: string, paint: (text: string) => string) =>
    colors.dim(indent) + paint(cut(plainLine(text), width - indent.length));
  const own = nameOf(span);
  return [
    ...(span.failed ? [note(`✗ ${span.message || 'failed'}`, colors.red)] : []),
    ...(span.open ? [note(`… ${own} had not ended when this was sent, or never did`, colors.yellow)] : []),
    ...span.events.map(({ name, afterUs }) => note(`· ${name}, after ${took(Number(afterUs))}`, colors.yellow)),
    ...(span.links.length > 0 ? [note(linksText(span, nameById), colors.dim)] : []),
  ];
}

function linksText({ links }: Span, nameById: ReadonlyMap<string, string>): string {
  const named = links.slice(0, MAX_NAMED).map(({ traceId, spanId }) => nameById.get(spanId) ?? `trace ${traceId}`);
  const others = links.length - named.length;
  return `⇄ with ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}

const METHOD = /^hivebus\.(\w+)\.v\d+\.\w+\/(\w+)$/;

/** `hivebus.pool.v1.ResourcePoolService/SubmitTask` is `pool.SubmitTask` for people. */
export const shortName = (name: string): string => name.replace(METHOD, '$1.$2');

/** The same; who calls says so. */
const nameOf = ({ name, kind }: Span): string =>
  (kind === 'SPAN_KIND_CLIENT' && METHOD.test(name) ? 'call ' : '') + plainLine(shortName(name));

/** Of several processes of one service each is told by its process id. */
function servicesOf(spans: readonly Span[]): ServiceOf {
  const instances = new Map<string, Set<string>>();
  for (const span of spans) {
    const name = serviceName(span);
    instances.set(name, (instances.get(name) ?? new Set()).add(span.instance));
  }
  return (span) => {
    const name = serviceName(span);
    const isAlone = (instances.get(name)?.size ?? 0) < 2;
    return isAlone ? name : `${name}.${plainLine(span.instance).split(':').at(-1)}`;
  };
}

type ServiceOf = (span: Span) => string;

const serviceName = ({ service, attributes }: Span): string =>
  plainLine(attributes[ATTRIBUTE.service] ?? service.replace(/^hivebus-/, ''));

const subjectOf = ({ attributes }: Span): string => plainLine(attributes[ATTRIBUTE.destination] ?? '');
