/**
 * Keys ordered by when they are due: a binary heap with lazy deletion. Derived state: rebuilt from rows, never stored.
 * set and delete are O(log n); `peek` and `due` are O(1) but for entries that were replaced.
 */
export class DueQueue {
  readonly #at = new Map<string, number>();
  readonly #heap: { key: string; at: number }[] = [];

  /** Makes `key` due at `at` (any unit, the caller's), instead of whenever it was due before. */
  set(key: string, at: number): void {
    if (this.#at.get(key) === at) return;
    this.#at.set(key, at);
    this.#heap.push({ key, at });
    this.#up(this.#heap.length - 1);
    // Replaced entries stay in the heap until they surface; rebuild when they are the greater part.
    if (this.#heap.length > 64 && this.#heap.length > 2 * this.#at.size) this.#rebuild();
  }

  delete(key: string): void {
    this.#at.delete(key);
  }

  /** When the first key is due; undefined when there is none. */
  peek(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.at;
  }

  /** The key that is due first and due by `now`; it stays until it is deleted or set again. */
  due(now: number): string | undefined {
    this.#dropStale();
    const top = this.#heap[0];
    return top && top.at <= now ? top.key : undefined;
  }

  /** All keys due by `now`, earliest first, at most `limit`; they stay until deleted or set again. */
  allDue(now: number, limit: number): string[] {
    // By key: one that was deleted and set to the same time again has two entries, of which one is dropped here.
    const found = new Map<string, { key: string; at: number }>();
    while (found.size < limit) {
      const key = this.due(now);
      if (key === undefined) break;
      found.set(key, this.#pop());
    }
    for (const entry of found.values()) {
      this.#heap.push(entry);
      this.#up(this.#heap.length - 1);
    }
    return [...found.keys()];
  }

  #dropStale(): void {
    for (let top = this.#heap[0]; top && this.#at.get(top.key) !== top.at; top = this.#heap[0]) this.#pop();
  }

  #rebuild(): void {
    this.#heap.length = 0;
    for (const [key, at] of this.#at) this.#heap.push({ key, at });
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#down(i);
  }

  #pop(): { key: string; at: number } {
    const top = this.#heap[0] as { key: string; at: number };
    const last = this.#heap.pop() as { key: string; at: number };
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down(0);
    }
    return top;
  }

  #up(start: number): void {
    const heap = this.#heap;
    let i = start;
    const entry = heap[i] as { key: string; at: number };
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as { key: string; at: number };
      if (above.at <= entry.at) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = entry;
  }

  #down(start: number): void {
    const heap = this.#heap;
    let i = start;
    const entry = heap[i] as { key: string; at: number };
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && right.at < (heap[child] as { at: number }).at) child++;
      const below = heap[child] as { key: string; at: number };
      if (below.at >= entry.at) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = entry;
  }
}
