import { byText, OrderedList } from '../../../libs/kernel/ordered-list.ts';
import { standingOf } from './fit.ts';
import type { SwarmRow } from './rows.ts';

/** A swarm that offers an agent type. */
export interface Candidate {
  readonly name: string;
  /** What durable state alone gives to its score for this type: the most that later ones can have of it. */
  readonly standing: number;
}

const bestFirst = (a: Candidate, b: Candidate): number => b.standing - a.standing || byText(a.name, b.name);

/**
 * Who offers an agent type, best standing first, so that a search looks at swarms of that type only and can stop when
 * no later one can be better any more (ranking.ts). A function of the swarms' rows alone.
 */
export class CapabilityIndex {
  readonly #byType = new Map<string, OrderedList<Candidate>>();

  add(row: SwarmRow): void {
    for (const { agentType, capacity } of row.capabilities) {
      this.#listOf(agentType).add({ name: row.name, standing: standingOf(row.liveness, capacity) });
    }
  }

  /** Takes out a row as it was added. */
  remove(row: SwarmRow): void {
    for (const { agentType, capacity } of row.capabilities) {
      const list = this.#byType.get(agentType);
      list?.remove({ name: row.name, standing: standingOf(row.liveness, capacity) });
      if (list?.size === 0) this.#byType.delete(agentType);
    }
  }

  count(agentType: string): number {
    return this.#byType.get(agentType)?.size ?? 0;
  }

  bestFirst(agentType: string): Iterable<Candidate> {
    return this.#byType.get(agentType) ?? [];
  }

  #listOf(agentType: string): OrderedList<Candidate> {
    const there = this.#byType.get(agentType);
    if (there) return there;
    const list = new OrderedList(bestFirst);
    this.#byType.set(agentType, list);
    return list;
  }
}
