/** What must be closed, the last opened first. (AsyncDisposableStack is not in Node 20.) */
export class Closing implements AsyncDisposable {
  readonly #open: (AsyncDisposable | Disposable)[] = [];

  use<T extends AsyncDisposable | Disposable>(thing: T): T {
    this.#open.push(thing);
    return thing;
  }

  /** Closes all, even if closing one fails; then rejects with the first failure. */
  async [Symbol.asyncDispose](): Promise<void> {
    const failures: unknown[] = [];
    for (const thing of this.#open.reverse()) {
      try {
        if (Symbol.asyncDispose in thing) await thing[Symbol.asyncDispose]();
        else thing[Symbol.dispose]();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
