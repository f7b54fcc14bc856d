import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isName } from '../libs/kernel/names.ts';
import { natsUrls } from '../libs/service/settings.ts';

/** What `hivebus up` leaves in its folder, so that commands started there or below find it. */
export interface RunFile {
  readonly nats: string;
  /** Address of the gRPC server, `host:port`. */
  readonly grpc: string;
  readonly pid: number;
  /** The folder of the keys. */
  readonly home: string;
  /** The operator whose key lies there. */
  readonly operator: string;
  /** Base URL of its NATS server's monitoring port; not there when it uses another's server. */
  readonly monitoring?: string;
  readonly startedAt: string;
}

const NAME = 'run.json';
export const DATA_FOLDER = '.hivebus';

/** Looks for `.hivebus/run.json` in `folder` and its parents. */
export function findRun(folder: string): RunFile | undefined {
  const found = readRun(join(resolve(folder), DATA_FOLDER));
  if (found) return found;
  const parent = dirname(resolve(folder));
  return parent === resolve(folder) ? undefined : findRun(parent);
}

/**
 * Of a folder such as `.hivebus`; undefined when nothing runs there that ended in order. What is no such file, broken by
 * a full disk or by hand, of another program or version, is as good as not there: nothing is known to run.
 */
export function readRun(data: string): RunFile | undefined {
  try {
    const run: unknown = JSON.parse(readFileSync(join(data, NAME), 'utf8'));
    return isRun(run) ? run : undefined;
  } catch {
    return undefined;
  }
}

function isRun(value: unknown): value is RunFile {
  if (typeof value !== 'object' || value === null) return false;
  const { nats, grpc, pid, home, operator, monitoring, startedAt } = value as Partial<Record<keyof RunFile, unknown>>;
  const texts = [nats, grpc, home, startedAt, monitoring ?? '-'];
  if (!texts.every((text) => typeof text === 'string' && text !== '')) return false;
  const isProcess = Number.isSafeInteger(pid) && (pid as number) > 0; // kill takes 0 and less for many processes
  return (
    isProcess &&
    typeof operator === 'string' &&
    isName(operator) &&
    natsUrls('nats', []).parse(nats as string) !== undefined
  );
}

export async function writeRun(data: string, run: RunFile): Promise<void> {
  await mkdir(data, { recursive: true });
  const draft = join(data, `${NAME}.${process.pid}`);
  await writeFile(draft, `${JSON.stringify(run, undefined, 2)}\n`);
  await rename(draft, join(data, NAME));
}

export const removeRun = (data: string): Promise<void> => rm(join(data, NAME), { force: true });
