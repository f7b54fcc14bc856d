import { readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

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

/** Of a folder such as `.hivebus`; undefined when nothing runs there that ended in order. */
export function readRun(data: string): RunFile | undefined {
  try {
    return JSON.parse(readFileSync(join(data, NAME), 'utf8')) as RunFile;
  } catch {
    return undefined; // not there, or of a run that was killed while it wrote: as good as not there
  }
}

export async function writeRun(data: string, run: RunFile): Promise<void> {
  await mkdir(data, { recursive: true });
  const draft = join(data, `${NAME}.${process.pid}`);
  await writeFile(draft, `${JSON.stringify(run, undefined, 2)}\n`);
  await rename(draft, join(data, NAME));
}

export const removeRun = (data: string): Promise<void> => rm(join(data, NAME), { force: true });
