/**
 * A page of a list, or an item of a watch, ends before it holds more than this: the bus carries 1 MiB in a message, and
 * whoever fills a list with large things must not make it unreadable for everybody.
 */
const MAX_BYTES = 768 * 1024;

/** What one answer has room for. */
export class Room {
  #bytes = 0;

  /** Does the item fit in with those that were taken before? The first one does always: whoever pages must get on. */
  takes(item: unknown): boolean {
    const bytes = Buffer.byteLength(JSON.stringify(item));
    if (this.#bytes > 0 && this.#bytes + bytes > MAX_BYTES) return false;
    this.#bytes += bytes;
    return true;
  }
}

/** The first of the items, as many as one answer has room for. */
export function fitting<T>(items: readonly T[]): T[] {
  const room = new Room();
  const end = items.findIndex((item) => !room.takes(item));
  return end < 0 ? [...items] : items.slice(0, end);
}

/** All of the items in as many answers as it takes; one empty answer when there are none. */
export function* parts<T>(items: readonly T[]): Generator<T[]> {
  let rest = items;
  do {
    const part = fitting(rest);
    rest = rest.slice(part.length);
    yield part;
  } while (rest.length > 0);
}
