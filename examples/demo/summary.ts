import { formatDuration } from '../../libs/kernel/durations.ts';
import { lendingLines, waitingLines } from './lending.ts';
import type { Report } from './report.ts';

/** What is shown at the end. */
export function summary(report: Report, path: string): string {
  const sum = (of: (analysis: Report['analyses'][number]) => number) =>
    report.analyses.reduce((total, analysis) => total + of(analysis), 0);
  const longest = report.analyses
    .flatMap(({ file, longest }) => (longest ? [{ file, ...longest }] : []))
    .sort((a, b) => b.lines - a.lines)[0];
  const { succeeded, failed, retried, doneBy } = report;
  return [
    `tasks      ${succeeded} of ${report.files} done in ${formatDuration(report.tookMs)}${failed.length > 0 ? `, ${failed.length} failed` : ''}`,
    ...Object.entries(doneBy).map(([agent, { tasks, lentBy }], i) => {
      const lent = lentBy ? `, lent by ${lentBy}` : '';
      return `${i === 0 ? 'done by' : '       '}    ${agent.padEnd(22)} ${String(tasks).padStart(4)}${lent}`;
    }),
    ...lendingLines(report.lent),
    ...waitingLines(report.waited),
    `killed     ${report.killed ?? 'nobody'}`,
    `again      ${retried.map(({ file, agents }) => `${file} (${agents.join(', then ')})`).join('; ') || 'nothing'}`,
    `found      ${sum((a) => a.lines.code)} lines of code, ${sum((a) => a.marks.length)} marks, ${sum((a) => a.secrets.length)} likely secrets`,
    `longest    ${longest ? `${longest.name}, ${longest.lines} lines, ${longest.file}:${longest.line}` : '-'}`,
    `trace      ${report.traceId}`,
    `report     ${path}`,
  ].join('\n');
}

/** How to look around by oneself. */
export function howToLook(nats: string, home: string, running: boolean): string {
  if (running) {
    return [
      'It keeps running; Ctrl-C ends it. Look around:',
      `  nats sub -s ${nats} 'hive.main.>'`,
      `  HIVEBUS_HOME=${home} bin/hivebus --nats ${nats} events`,
      `  HIVEBUS_HOME=${home} bin/hivebus --nats ${nats} status`,
    ].join('\n');
  }
  return [
    'Look around by yourself with npm run demo -- --keep, or with npm start and then',
    "  nats sub 'hive.main.>'      every event as it happens",
    '  bin/hivebus events          the same, easier to read',
  ].join('\n');
}
