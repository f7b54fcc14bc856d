import { withJson } from './json-text.ts';

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
    return this.takesJson(JSON.stringify(item));
  }

  /** The same for an item that is JSON text already. */
  takesJson(json: string): boolean {
    const bytes = Buffer.byteLength(json);
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

/** An item of a watch: what has changed up to a revision. */
export interface Change<T> {
  revision: string;
  changed: T[];
  removed: string[];
}

/** One change in as many items as it takes: until the last of them a watch is to be resumed from before it. */
export function* inParts<T>(revision: number, items: readonly T[], removed: string[]): Generator<Change<T>> {
  const texts = items.map((item) => JSON.stringify(item));
  let from = 0;
  do {
    const room = new Room();
    let to = from;
    while (to < texts.length && room.takesJson(texts[to] as string)) to++;
    yield partOf(revision, items, texts, { from, to }, removed);
    from = to;
  } while (from < items.length);
}

function partOf<T>(
  revision: number,
  items: readonly T[],
  texts: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
  allRemoved: string[],
): Change<T> {
  const isLast = to === items.length;
  const at = String(isLast ? revision : revision - 1);
  const removed = isLast ? allRemoved : [];
  const json = `{"revision":"${at}","changed":[${texts.slice(from, to).join(',')}],"removed":${JSON.stringify(removed)}}`;
  return withJson({ revision: at, changed: items.slice(from, to), removed }, json);
}
