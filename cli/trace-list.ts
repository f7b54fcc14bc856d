import { formatDuration } from '../libs/kernel/durations.ts';
import type { TraceSummary } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { colors, columnWidths, GAP, listing, terminalWidth } from './output.ts';
import { printable } from './printable.ts';
import { shortName } from './waterfall.ts';
import { took } from './waterfall-layout.ts';

const HEAD = ['TRACE', 'NAME', 'AGE', 'TOOK', 'ERRORS', 'SENDER', 'SPANS', 'SERVICE'];
/** Of these columns, however narrow it is; each other one only when it and all before it fit uncut. */
const ALWAYS = 5;

/** Traces for people, what is wanted most first. */
export function traceList(traces: readonly TraceSummary[], now = Date.now(), width = terminalWidth()): string {
  if (traces.length === 0) return 'no traces are kept yet';
  const rows = printable(traces).map(({ traceId, startUs, durationUs, spans, failed, name, service, sender }) => [
    traceId,
    name === '' ? '(not kept)' : shortName(name),
    formatDuration(Math.max(0, now - Number(startUs) / 1000)),
    took(Number(durationUs)),
    failed > 0 ? colors.red(String(failed)) : '-',
    sender === '' ? '(the keeper)' : sender,
    String(spans),
    service.replace(/^hivebus-/, ''),
  ]);
  const widths = columnWidths(HEAD, rows, Number.POSITIVE_INFINITY);
  const ends = widths.map((_, i) => widths.slice(0, i + 1).reduce((sum, each) => sum + each + GAP, -GAP));
  const shown = Math.max(ALWAYS, ends.filter((end) => end <= width).length);
  return listing(HEAD, rows, width, shown);
}
