import { byText, OrderedList } from '../../../libs/kernel/ordered-list.ts';

export interface Ended {
  readonly id: string;
  readonly endedAt: number;
  /** Its age in the journal, which settles ties. */
  readonly order: number;
}

/**
 * What has ended and is still kept, the oldest ending first. A sorted list and no heap: what ends is almost always the
 * last, and what leaves are the first few hundred at once.
 */
export class EndedOnes {
  readonly #byId = new Map<string, Ended>();
  readonly #list = new OrderedList<Ended>(byEnd);

  get size(): number {
    return this.#list.size;
  }

  get oldest(): Ended | undefined {
    return this.#list.first;
  }

  add({ id, endedAt, order }: Ended): void {
    if (this.#byId.has(id)) return;
    const ended = { id, endedAt, order };
    this.#byId.set(id, ended);
    this.#list.add(ended);
  }

  delete(id: string): void {
    const ended = this.#byId.get(id);
    if (!ended) return;
    this.#byId.delete(id);
    this.#list.remove(ended);
  }

  inOrder(): Iterable<Ended> {
    return this.#list;
  }
}

const byEnd = (a: Ended, b: Ended): number => a.endedAt - b.endedAt || a.order - b.order || byText(a.id, b.id);
