import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HiveError, quote } from '../kernel/errors.ts';

/**
 * Where a server program is: what `override` names, else the PATH, else the folders that `npm run setup` fills.
 * @throws HiveError NOT_FOUND saying how to get it.
 */
export function findServer(program: string, override?: string): string {
  if (override) {
    if (isExecutable(override)) return override;
    throw new HiveError('NOT_FOUND', `${quote(override)} is not a program that can be run; it was given as ${program}`);
  }
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...setupFolders()];
  const found = folders.filter((folder) => folder !== '').map((folder) => join(folder, program));
  const path = found.find(isExecutable);
  if (path) return path;
  throw new HiveError('NOT_FOUND', `no ${program} found on the PATH nor among what setup fetched; run: npm run setup`);
}

/** The nats-server to run: HIVEBUS_NATS_SERVER, the PATH, or what setup fetched. */
export const natsServerPath = (): string => findServer('nats-server', process.env.HIVEBUS_NATS_SERVER);

/** The version of a nats-server program, e.g. `2.9.10`. */
export async function natsServerVersion(path: string): Promise<string> {
  const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 10_000 }).catch((cause: Error) => {
    throw new HiveError('NOT_FOUND', `${path} cannot be run: ${cause.message}`, { cause });
  });
  const version = /v?(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  if (version) return version;
  throw new HiveError(
    'FAILED_PRECONDITION',
    `${path} --version says ${quote(stdout)}, which is no nats-server's version`,
  );
}

/** Where tools/setup.mjs puts programs: the user's cache, or the package's own when no home can be written. */
export function setupFolders(): string[] {
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  return [join(cache, 'hivebus', 'bin'), join(packageRoot(), 'node_modules', '.cache', 'hivebus', 'bin')];
}

function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
