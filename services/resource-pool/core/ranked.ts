/** Something that has a place in at most one `Ranked`. */
export interface Placed {
  /** Its index in the heap; -1 = in none. Only the heap writes it. */
  place: number;
}

/**
 * Items by rank: a binary heap that knows where each item is, so that any of them can be removed or moved in O(log n).
 * `before` must be a total order; then the first item does not depend on how the heap came to be.
 */
export class Ranked<T extends Placed> {
  readonly #heap: T[] = [];
  readonly #before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#heap.length;
  }

  get first(): T | undefined {
    return this.#heap[0];
  }

  /** The one after the first. */
  get second(): T | undefined {
    const left = this.#heap[1];
    const right = this.#heap[2];
    return left && right && this.#before(right, left) ? right : left;
  }

  /** Puts everything in order anew, after what all are ranked by has changed. */
  rebuild(): void {
    for (let place = (this.#heap.length >> 1) - 1; place >= 0; place--) this.#down(this.#heap[place] as T);
  }

  /** All items, in no order. */
  items(): Iterable<T> {
    return this.#heap;
  }

  add(item: T): void {
    item.place = this.#heap.length;
    this.#heap.push(item);
    this.#up(item);
  }

  remove(item: T): void {
    const last = this.#heap.pop() as T;
    if (last !== item) {
      this.#put(last, item.place);
      this.moved(last);
    }
    item.place = -1;
  }

  /** Finds the item's place again after what it is ranked by has changed. */
  moved(item: T): void {
    this.#up(item);
    this.#down(item);
  }

  /**
   * All items by rank, lazily: the k-th costs O(k) at most, so callers stop early. The heap must not change meanwhile.
   */
  inOrder(): IterableIterator<T> {
    return new InOrder(this.#heap, this.#before);
  }

  #put(item: T, place: number): void {
    this.#heap[place] = item;
    item.place = place;
  }

  #up(item: T): void {
    let place = item.place;
    while (place > 0) {
      const parent = this.#heap[(place - 1) >> 1] as T;
      if (!this.#before(item, parent)) break;
      this.#put(parent, place);
      place = (place - 1) >> 1;
    }
    this.#put(item, place);
  }

  #down(item: T): void {
    let place = item.place;
    for (;;) {
      const left = this.#heap[2 * place + 1];
      if (!left) break;
      const right = this.#heap[2 * place + 2];
      const child = right && this.#before(right, left) ? right : left;
      if (!this.#before(child, item)) break;
      const below = child.place;
      this.#put(child, place);
      place = below;
    }
    this.#put(item, place);
  }
}

/**
 * Starts at the top and keeps a frontier of items whose parents were given out. Not a generator, because the dispatcher
 * asks for one or two items of many heaps, and what it costs to begin is all that counts then.
 */
class InOrder<T extends Placed> implements IterableIterator<T> {
  readonly #heap: readonly T[];
  readonly #before: (a: T, b: T) => boolean;
  readonly #frontier: T[];

  constructor(heap: readonly T[], before: (a: T, b: T) => boolean) {
    this.#heap = heap;
    this.#before = before;
    this.#frontier = heap.slice(0, 1);
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<T, undefined> {
    const frontier = this.#frontier;
    let best = 0;
    for (let i = 1; i < frontier.length; i++) {
      if (this.#before(frontier[i] as T, frontier[best] as T)) best = i;
    }
    const item = frontier[best];
    const last = frontier.pop();
    if (!item || !last) return { done: true, value: undefined };
    if (best < frontier.length) frontier[best] = last;
    const left = this.#heap[2 * item.place + 1];
    const right = this.#heap[2 * item.place + 2];
    if (left) frontier.push(left);
    if (right) frontier.push(right);
    return { done: false, value: item };
  }
}
