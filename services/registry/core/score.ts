import type { Score } from '../../../libs/wire/hivebus/registry/v1/registry.ts';

/** One part of a score: how much it counts, how good the subject is at it (0 to 1), and why, for people. */
export interface Criterion<Subject> {
  readonly name: string;
  readonly weight: number;
  value(subject: Subject): number;
  reason(subject: Subject): string;
}

/** The weighted sum alone: what candidates are ordered by. */
export function total<Subject>(criteria: readonly Criterion<Subject>[], subject: Subject): number {
  let sum = 0;
  for (const each of criteria) sum += each.weight * each.value(subject);
  return sum;
}

/** The score with its parts and reasons. */
export function explain<Subject>(criteria: readonly Criterion<Subject>[], subject: Subject): Score {
  const parts = criteria.map((each) => ({
    name: each.name,
    weight: each.weight,
    value: each.value(subject),
    reason: each.reason(subject),
  }));
  return { value: Math.min(total(criteria, subject), 1), parts };
}

/** Keeps the `limit` best of what it is offered: highest value first, then by name. */
export class Best<T extends { readonly name: string }> {
  readonly #limit: number;
  #kept: { item: T; value: number }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lowest value among the kept when there are `limit` of them, else -1: anything lower is not worth offering. */
  get bar(): number {
    return this.#kept.length < this.#limit ? -1 : (this.#kept[this.#limit - 1]?.value ?? -1);
  }

  offer(item: T, value: number): void {
    if (value < this.bar) return;
    let low = 0;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const there = this.#kept[middle] as { item: T; value: number };
      if (there.value > value || (there.value === value && there.item.name < item.name)) low = middle + 1;
      else high = middle;
    }
    this.#kept.splice(low, 0, { item, value });
    if (this.#kept.length > this.#limit) this.#kept.pop();
  }

  items(): T[] {
    return this.#kept.map((each) => each.item);
  }
}
