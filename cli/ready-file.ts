import { rmSync, writeFileSync } from 'node:fs';

/** A file that is there while a process is ready, for health checks that must cost nothing. */
export class ReadyFile implements Disposable {
  readonly #path: string | undefined;

  /** Takes away what a run that was killed has left behind. */
  constructor(path: string | undefined) {
    this.#path = path;
    this[Symbol.dispose]();
  }

  show(): void {
    if (this.#path !== undefined) writeFileSync(this.#path, `${process.pid}\n`);
  }

  [Symbol.dispose](): void {
    if (this.#path !== undefined) rmSync(this.#path, { force: true });
  }
}
