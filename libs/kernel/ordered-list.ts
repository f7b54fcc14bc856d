/** Items per chunk at most: small enough that an insertion moves little, large enough that there are few chunks. */
const MAX_CHUNK = 256;

/**
 * A sorted list of distinct items: chunks of sorted arrays. add and remove are O(log n) comparisons and move at most
 * one chunk's items (and, when a chunk is born or dies, the list of chunks); iteration is in order. Derived state.
 */
export class OrderedList<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #chunks: T[][] = [];
  #size = 0;

  /** `compare` orders items totally: 0 means the same item. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  /** False when it is there already. */
  add(item: T): boolean {
    const last = this.#chunks.at(-1);
    if (!last) {
      this.#chunks.push([item]);
      this.#size = 1;
      return true;
    }
    // Told at once, since what is added is often what comes last.
    const isLast = this.#compare(last[last.length - 1] as T, item) < 0;
    const c = isLast ? this.#chunks.length - 1 : this.#chunkOf(item);
    const chunk = this.#chunks[c] as T[];
    const i = isLast ? chunk.length : this.#position(chunk, item);
    if (i < chunk.length && this.#compare(chunk[i] as T, item) === 0) return false;
    chunk.splice(i, 0, item);
    if (chunk.length > MAX_CHUNK) this.#chunks.splice(c + 1, 0, chunk.splice(MAX_CHUNK / 2));
    this.#size++;
    return true;
  }

  /** False when it is not there. */
  remove(item: T): boolean {
    const c = this.#chunkOf(item);
    const chunk = this.#chunks[c];
    if (!chunk) return false;
    const i = this.#position(chunk, item);
    if (i === chunk.length || this.#compare(chunk[i] as T, item) !== 0) return false;
    chunk.splice(i, 1);
    if (chunk.length === 0) this.#chunks.splice(c, 1);
    this.#size--;
    return true;
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (const chunk of this.#chunks) yield* chunk;
  }

  /** The items after `item`, which need not be there. */
  *after(item: T): Generator<T, void, undefined> {
    let c = this.#chunkOf(item);
    let chunk = this.#chunks[c];
    if (!chunk) return;
    let i = this.#position(chunk, item);
    if (i < chunk.length && this.#compare(chunk[i] as T, item) === 0) i++;
    for (; chunk; chunk = this.#chunks[++c], i = 0) for (; i < chunk.length; i++) yield chunk[i] as T;
  }

  /** The first chunk whose last item is not before `item`. */
  #chunkOf(item: T): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = this.#chunks[middle] as T[];
      if (this.#compare(chunk[chunk.length - 1] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The place of the first item in the chunk that is not before `item`. */
  #position(chunk: readonly T[], item: T): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(chunk[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
