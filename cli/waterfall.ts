import { formatDuration } from '../libs/kernel/durations.ts';
import { ATTRIBUTE } from '../libs/telemetry/attributes.ts';
import type { GetTraceResponse, Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { colors } from './output.ts';
import { plainLine } from './printable.ts';
import { type Row, treeOf } from './trace-tree.ts';

/**
 * A trace for people: a line for each span with its name in the tree, who did it, how long it took, and when, as a bar;
 * from 120 columns on the subject of its message, too. What went wrong stands below, in red.
 */
export function waterfall({ spans, missing }: GetTraceResponse, width: number): string {
  const rows = treeOf(spans);
  const range = rangeOf(spans);
  const serviceOf = servicesOf(spans);
  const columns = columnsFor(rows, serviceOf, width);
  const lines = rows.flatMap((row) => [line(row, serviceOf(row.span), columns, range), ...notes(row, rows, width)]);
  const more = missing > 0 ? [colors.yellow(`${missing} more spans are not shown, or are no longer kept`)] : [];
  return [...summary(spans, serviceOf, range, width), '', headOf(columns, range), ...lines, ...more].join('\n');
}

interface Range {
  readonly startUs: number;
  readonly endUs: number;
}

/** Widths; `subject` is 0 where there is no room for it. */
interface Columns {
  readonly name: number;
  readonly service: number;
  readonly bar: number;
  readonly subject: number;
}

const GAP = 2;
const TOOK = 7;
const WIDE = 120;
const LEAST_BAR = 14;

function columnsFor(rows: readonly Row[], serviceOf: ServiceOf, width: number): Columns {
  const isWide = width >= WIDE;
  const widest = (texts: readonly string[]) => Math.max(7, ...texts.map((text) => text.length));
  const service = Math.min(widest(rows.map(({ span }) => serviceOf(span))), isWide ? 20 : 13);
  const room = width - service - TOOK - 3 * GAP;
  const name = Math.min(
    widest(rows.map((row) => treeMarks(row) + nameOf(row.span))),
    isWide ? room >> 1 : room - LEAST_BAR,
  );
  const rest = room - name;
  if (!isWide) return { name, service, bar: rest, subject: 0 };
  const subject = Math.min(widest(rows.map(({ span }) => subjectOf(span))), rest - GAP - LEAST_BAR);
  return { name, service, bar: rest - subject - GAP, subject };
}

function summary(spans: readonly Span[], serviceOf: ServiceOf, range: Range, width: number): string[] {
  const services = new Set(spans.map(serviceOf)).size;
  const errors = spans.filter(({ failed }) => failed).length;
  const counts = [
    took(range.endUs - range.startUs),
    count(spans.length, 'span'),
    count(services, 'service'),
    ...(errors > 0 ? [colors.red(count(errors, 'error'))] : []),
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

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;

function headOf({ name, service, bar, subject }: Columns, range: Range): string {
  const end = took(range.endUs - range.startUs);
  const scale = `0${end.padStart(bar - 1)}`;
  const head = ['NAME'.padEnd(name), 'SERVICE'.padEnd(service), 'TOOK'.padStart(TOOK), scale];
  return colors.dim([...head, ...(subject > 0 ? ['SUBJECT'] : [])].join(' '.repeat(GAP)).trimEnd());
}

function line(row: Row, service: string, columns: Columns, range: Range): string {
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

/** `│ ├ `; what has lost its place begins with `┄ `. */
function treeMarks({ more, isOrphan }: Row): string {
  if (more.length === 0) return isOrphan ? '┄ ' : '';
  const above = more.slice(0, -1).map((follows) => (follows ? '│ ' : '  '));
  return `${above.join('')}${more.at(-1) ? '├ ' : '└ '}`;
}

function bar(span: Span, width: number, { startUs, endUs }: Range): string {
  const scale = width / Math.max(1, endUs - startUs);
  const from = Math.min(width - 1, Math.floor((Number(span.startUs) - startUs) * scale));
  const length = Math.max(1, Math.min(width - from, Math.round(Number(span.durationUs) * scale)));
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
function notes({ span, more }: Row, rows: readonly Row[], width: number): string[] {
  const indent = `${more.map((follows) => (follows ? '│ ' : '  ')).join('')}  `.slice(0, width / 2);
  const note = (text: string, paint: (text: string) => string) =>
    colors.dim(indent) + paint(cut(plainLine(text), width - indent.length));
  const own = nameOf(span);
  return [
    ...(span.failed ? [note(`✗ ${span.message || 'failed'}`, colors.red)] : []),
    ...(span.open ? [note(`… ${own} had not ended when this was sent, or never did`, colors.yellow)] : []),
    ...span.events.map(({ name, afterUs }) => note(`· ${name}, after ${took(Number(afterUs))}`, colors.yellow)),
    ...(span.links.length > 0 ? [note(linksText(span, rows), colors.dim)] : []),
  ];
}

function linksText({ links }: Span, rows: readonly Row[]): string {
  const named = links.slice(0, MAX_NAMED).map(({ traceId, spanId }) => {
    const here = rows.find(({ span }) => span.spanId === spanId);
    return here ? nameOf(here.span) : `trace ${traceId}`;
  });
  const others = links.length - named.length;
  return `⇄ with ${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}

/** `hivebus.pool.v1.ResourcePoolService/SubmitTask` is `pool.SubmitTask` here; who calls says so. */
function nameOf({ name, kind }: Span): string {
  const [, service, method] = /^hivebus\.(\w+)\.v\d+\.\w+\/(\w+)$/.exec(name) ?? [];
  if (!service) return plainLine(name);
  return `${kind === 'SPAN_KIND_CLIENT' ? 'call ' : ''}${service}.${method}`;
}

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

function rangeOf(spans: readonly Span[]): Range {
  let [startUs, endUs] = [Number.POSITIVE_INFINITY, 0];
  for (const span of spans) {
    startUs = Math.min(startUs, Number(span.startUs));
    endUs = Math.max(endUs, Number(span.startUs) + Number(span.durationUs));
  }
  return { startUs, endUs };
}

/** `340µs`, `2.1ms`, `85ms`, `1.2s`; with a `+` when it goes on. */
function took(us: number, isOpen = false): string {
  const text =
    us < 1000 ? `${Math.round(us)}µs` : us < 10_000 ? `${(us / 1000).toFixed(1)}ms` : formatDuration(us / 1000);
  return isOpen ? `${text}+` : text;
}

const cut = (text: string, width: number): string =>
  text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
