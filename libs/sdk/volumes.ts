import { chmod, link, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { isName } from '../kernel/names.ts';
import { HOST_LABEL, KEEPS_VOLUMES } from '../protocol/volumes.ts';
import type { Hive } from './hive.ts';
import { isEnded } from './wait.ts';

/** Nobody but the agent's own user reads what tasks keep. */
const MODE = 0o700;
/** Folders that one sweep asks about. */
const MAX_SWEPT = 256;
/** A task may last a week: a folder that nobody touched for longer, of a task that the pool does not know, is nobody's. */
const UNKNOWN_MS = 8 * 86_400_000;

/**
 * Folders that tasks keep from one attempt to the next, below an agent's data folder:
 * `volumes/<federation>/<task>/<name>`. Agents that share a data folder are one host to the pool, whose id lies in it.
 */
export class Volumes {
  readonly #folder: string;
  readonly #federation: string;
  readonly host: string;

  private constructor(folder: string, federation: string, host: string) {
    this.#folder = folder;
    this.#federation = federation;
    this.host = host;
  }

  /** Makes the data folder where there is none. Throws FAILED_PRECONDITION when it cannot be used. */
  static async open(dataFolder: string, federation: string): Promise<Volumes> {
    const folder = resolve(dataFolder);
    try {
      await mkdir(join(folder, 'volumes'), { recursive: true, mode: MODE });
      return new Volumes(folder, federation, await hostOf(join(folder, 'host')));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HiveError('FAILED_PRECONDITION', `the data folder ${folder} cannot be used: ${why}`, { cause });
    }
  }

  /** What tells the pool that this agent keeps volumes, and where. */
  get labels(): Readonly<Record<string, string>> {
    return { [KEEPS_VOLUMES]: 'yes', [HOST_LABEL]: this.host };
  }

  /** The task's folders by name, made where they are not there yet. */
  async of(task: string, names: readonly string[]): Promise<Record<string, string>> {
    const all: Record<string, string> = {};
    for (const name of names) {
      if (!isName(task) || !isName(name)) throw new HiveError('INVALID_ARGUMENT', `a volume ${name} of task ${task}`);
      const path = join(this.#folderOf(task), name);
      await mkdir(path, { recursive: true, mode: MODE });
      await chmod(path, MODE); // a umask takes bits away, and none may be added
      all[name] = path;
    }
    return all;
  }

  /** The task has ended. */
  async remove(task: string): Promise<void> {
    await rm(this.#folderOf(task), { recursive: true, force: true });
  }

  /** Removes the folders of tasks that have ended elsewhere, or while nobody was here. */
  async sweep(pool: Pick<Hive['pool'], 'getTask'>): Promise<void> {
    const tasks = await readdir(join(this.#folder, 'volumes', this.#federation)).catch(() => []);
    for (const task of tasks.filter(isName).slice(0, MAX_SWEPT)) {
      if (await this.#isOver(pool, task)) await this.remove(task);
    }
  }

  async #isOver(pool: Pick<Hive['pool'], 'getTask'>, id: string): Promise<boolean> {
    try {
      const { task } = await pool.getTask({ id });
      return task !== undefined && isEnded(task);
    } catch (error) {
      // Another bus may have this federation's name, and not its tasks.
      if (HiveError.from(error).code !== 'NOT_FOUND') return false;
      const { mtimeMs } = await stat(this.#folderOf(id));
      return Date.now() - mtimeMs > UNKNOWN_MS;
    }
  }

  #folderOf(task: string): string {
    return join(this.#folder, 'volumes', this.#federation, task);
  }
}

/** The host's id; whoever comes first makes it. */
async function hostOf(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    await makeHost(file);
    return await readFile(file, 'utf8');
  });
  const host = text.trim();
  if (isName(host)) return host;
  throw new Error(`${file} must hold the host's id, a name; remove it when no task has volumes here`);
}

/** As a link, which fails when somebody was faster, and never shows half a file. */
async function makeHost(file: string): Promise<void> {
  const draft = `${file}.${randomId()}`;
  try {
    await writeFile(draft, `host-${randomId()}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
}
