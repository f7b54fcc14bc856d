import { cpus, totalmem } from 'node:os';
import Table from 'cli-table3';
import { natsServerPath, natsServerVersion } from '../../libs/service/nats-binary.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import type { Row } from './harness.ts';

const HEAD = ['what', 'floor', 'measured', 'ratio', 'target', 'kept'];

const kept = ({ ok }: Row): string => (ok === undefined ? '' : ok ? 'yes' : 'NO');
const cells = (row: Row): string[] => [row.what, row.floor, row.measured, row.ratio, row.target, kept(row)];

export function table(rows: readonly Row[]): string {
  const drawn = new Table({
    head: HEAD,
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [44, 24, 26, 9, 18, 6],
  });
  drawn.push(...rows.map(cells));
  return drawn.toString();
}

/** What it was measured on. */
export async function machineText(): Promise<string> {
  const version = await natsServerVersion(natsServerPath());
  const [cpu] = cpus();
  const memoryGb = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus().length} x ${cpu?.model}, ${memoryGb} GB, node ${process.version}, nats-server ${version}; ${await syncText()}`;
}

async function syncText(): Promise<string> {
  try {
    await using server = await startNatsServer({ syncAlways: true });
    const by = server.syncs === 'server' ? 'by the server (sync_interval: always)' : "by the folder's attribute S";
    return `writes are synced where the table says so, ${by}, and by etcd's default`;
  } catch (error) {
    return `synced writes cannot be measured here: ${error instanceof Error ? error.message : error}`;
  }
}

export function missed(rows: readonly Row[]): string {
  const missing = rows.filter(({ ok }) => ok === false);
  if (missing.length === 0) return 'Every target was kept.';
  return `${missing.length} targets were MISSED:\n${missing.map(({ what }) => `  ${what}`).join('\n')}`;
}

const line = (texts: readonly string[]): string =>
  `| ${texts.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;

export const markdown = (rows: readonly Row[], machine: string): string =>
  [
    '# Benchmarks',
    '',
    'Written by `npm run bench -- --write`. Floors were measured in the same run, in turns: compare ratios, not figures.',
    '',
    machine,
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rows.map((row) => line(cells(row))),
    '',
  ].join('\n');
