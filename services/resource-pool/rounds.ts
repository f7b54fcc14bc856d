/**
 * Whose turn it is to be asked: of those who are watched, the one of whom nothing was heard, and who was not asked, for the
 * longest time. A Map keeps the order in which keys were put into it, so who was heard or asked is taken out and put in
 * again: every step costs the same for one as for a hundred thousand.
 */
export class Rounds {
  /** When each was last heard or asked, the longest ago first. */
  readonly #lastMs = new Map<string, number>();

  get size(): number {
    return this.#lastMs.size;
  }

  /** From now on `key` has its turns; nothing changes when it has them already. */
  watch(key: string, nowMs: number): void {
    if (!this.#lastMs.has(key)) this.#lastMs.set(key, nowMs);
  }

  /** There was a sign of life, so it is last in the row again. */
  heard(key: string, nowMs: number): void {
    if (this.#lastMs.delete(key)) this.#lastMs.set(key, nowMs);
  }

  drop(key: string): void {
    this.#lastMs.delete(key);
  }

  /** The next ones, `most` of them: neither heard nor asked for `everyMs`. They are taken for asked now. */
  next(nowMs: number, everyMs: number, most: number): string[] {
    const due: string[] = [];
    for (const [key, lastMs] of this.#lastMs) {
      if (due.length === most || nowMs - lastMs < everyMs) break;
      due.push(key);
    }
    for (const key of due) this.heard(key, nowMs);
    return due;
  }
}
