import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ARTEFACT_NAME_RULE, isArtefactName, MAX_ARTEFACT_BYTES } from '../protocol/artefacts.ts';
import type { TaskRun } from './task.ts';

/** Where a command puts the files that it leaves to whoever submitted its task. */
export class ArtefactFolder implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(): Promise<ArtefactFolder> {
    return new ArtefactFolder(await mkdtemp(join(tmpdir(), 'hivebus-artefacts-')));
  }

  /** Stores what is there; what cannot be stored is told in the task's log. */
  async store(run: Pick<TaskRun, 'artefact' | 'log'>): Promise<void> {
    for (const name of (await readdir(this.path)).sort()) {
      const fault = await this.#fault(name);
      if (fault === undefined) await run.artefact(name, await readFile(join(this.path, name)));
      else run.log(`hivebus: ${JSON.stringify(name)} is no artefact: ${fault}`, 'stderr');
    }
  }

  async #fault(name: string): Promise<string | undefined> {
    const { size, isFile } = await stat(join(this.path, name)).then((found) => ({
      size: found.size,
      isFile: found.isFile(),
    }));
    if (!isFile) return 'it must be a file';
    if (!isArtefactName(name)) return `its name ${ARTEFACT_NAME_RULE}`;
    return size > MAX_ARTEFACT_BYTES ? `it has ${size} bytes, at most ${MAX_ARTEFACT_BYTES} may be` : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}
