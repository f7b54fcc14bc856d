import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration } from '../../libs/kernel/durations.ts';
import type { Analysis } from '../analysers/analysis.ts';
import { grid } from './grid.ts';
import type { Outcome } from './job.ts';
import { lendingSections } from './lending.ts';
import type { Lent, Waited } from './reasons.ts';
import type { SourceFiles } from './source-files.ts';

/** What the demo found out, about the code and about the work. */
export interface Report {
  readonly repo: string;
  readonly files: number;
  readonly skipped: SourceFiles['skipped'];
  readonly tookMs: number;
  readonly traceId: string;
  readonly succeeded: number;
  readonly failed: readonly { readonly file: string; readonly reason: string }[];
  /** By agent as `swarm/name`. */
  readonly doneBy: Readonly<Record<string, { readonly tasks: number; readonly lentBy: string | undefined }>>;
  readonly lent: readonly Lent[];
  readonly waited: Waited | undefined;
  readonly killed: string | undefined;
  readonly retried: readonly { readonly file: string; readonly agents: readonly string[]; readonly reason: string }[];
  readonly languages: Readonly<Record<string, { files: number; code: number; comment: number; blank: number }>>;
  readonly analyses: readonly Analysis[];
}

export function makeReport(source: SourceFiles, outcome: Outcome, traceId: string): Report {
  const { tasks, lent, waited, killed, tookMs } = outcome;
  const succeeded = tasks.filter((task) => task.state === 'TASK_STATE_SUCCEEDED');
  const analyses = succeeded.map((task) => task.result as Analysis).sort((a, b) => (a.file < b.file ? -1 : 1));
  return {
    repo: source.repo,
    files: source.files.length,
    skipped: source.skipped,
    tookMs: Math.round(tookMs),
    traceId,
    succeeded: succeeded.length,
    failed: tasks
      .filter((task) => task.state !== 'TASK_STATE_SUCCEEDED')
      .map((task) => ({ file: task.spec?.title ?? task.id, reason: task.reason })),
    doneBy: doneBy(outcome),
    lent,
    waited,
    killed: killed?.agent,
    retried: tasks
      .filter((task) => task.attempts.length > 1)
      .map(({ id, spec, attempts }) => ({
        file: spec?.title ?? id,
        agents: attempts.map((attempt) => attempt.agent),
        reason: attempts[0]?.reason ?? '',
      })),
    languages: languages(analyses),
    analyses,
  };
}

/** Writes `report.md`, with the trace as it is drawn, and `report.json`; gives the path of the first. */
export async function writeReport(report: Report, trace: string, folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'report.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  const path = join(folder, 'report.md');
  await writeFile(path, markdown(report, trace));
  return path;
}

function doneBy({ tasks, lent }: Outcome): Report['doneBy'] {
  const counts: Record<string, { tasks: number; lentBy: string | undefined }> = {};
  for (const task of tasks) {
    const agent = task.state === 'TASK_STATE_SUCCEEDED' ? task.attempts.at(-1)?.agent : undefined;
    if (agent === undefined) continue;
    const lentBy = lent.find((each) => each.agent === agent)?.lender;
    counts[agent] = { tasks: (counts[agent]?.tasks ?? 0) + 1, lentBy };
  }
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function languages(analyses: readonly Analysis[]): Report['languages'] {
  const all: Record<string, { files: number; code: number; comment: number; blank: number }> = {};
  for (const { language, lines } of analyses) {
    const { files, code, comment, blank } = all[language] ?? { files: 0, code: 0, comment: 0, blank: 0 };
    all[language] = {
      files: files + 1,
      code: code + lines.code,
      comment: comment + lines.comment,
      blank: blank + lines.blank,
    };
  }
  return all;
}

const TOP = 10;

function markdown(report: Report, trace: string): string {
  const { analyses, skipped } = report;
  const longest = analyses
    .flatMap(({ file, longest }) => (longest ? [[`${longest.lines}`, longest.name, `${file}:${longest.line}`]] : []))
    .sort((a, b) => Number(b[0]) - Number(a[0]))
    .slice(0, TOP);
  const marks = analyses.flatMap(({ file, marks }) => marks.map((m) => [m.kind, `${file}:${m.line}`, m.text]));
  const secrets = analyses.flatMap(({ file, secrets }) => secrets.map((s) => [s.rule, `${file}:${s.line}`, s.preview]));
  const byLanguage = Object.entries(report.languages)
    .sort(([, a], [, b]) => b.code - a.code)
    .map(([name, { files, code, comment, blank }]) => [
      name,
      ...[files, code, comment, blank].map(String),
      share(comment, code),
    ]);
  return `${[
    `# ${report.repo}`,
    `${report.files} files in ${formatDuration(report.tookMs)}; left out: ${skipped.binary} binary, ${skipped.large} large, ${skipped.overLimit} over the limit.`,
    '## Languages',
    grid(['language', 'files', 'code', 'comment', 'blank', 'comment share'], byLanguage),
    `## Longest functions`,
    grid(['lines', 'function', 'where'], longest),
    `## Marks (${marks.length})`,
    grid(['mark', 'where', 'text'], marks),
    `## Likely secrets (${secrets.length})`,
    grid(['rule', 'where', 'begins with'], secrets),
    '## Who did it',
    grid(
      ['agent', 'files', 'lent by'],
      Object.entries(report.doneBy).map(([agent, { tasks, lentBy }]) => [agent, String(tasks), lentBy ?? '']),
    ),
    `Killed on purpose: ${report.killed ?? 'nobody'}. Done again:`,
    grid(
      ['file', 'agents', 'why'],
      report.retried.map(({ file, agents, reason }) => [file, agents.join(', then '), reason]),
    ),
    ...lendingSections(report.lent, report.waited),
    '## Where the time went',
    `\`\`\`\n${trace.trimEnd()}\n\`\`\``,
  ].join('\n\n')}\n`;
}

const share = (part: number, rest: number): string =>
  part + rest === 0 ? '-' : `${Math.round((100 * part) / (part + rest))}%`;
