import { currentAttempt, type LeaseRow, type TaskRow } from './rows.ts';
import { hasEnded } from './task-states.ts';

/** How many there are by swarm; none are not kept. */
class Counter {
  readonly #counts = new Map<string, number>();

  of(swarm: string): number {
    return this.#counts.get(swarm) ?? 0;
  }

  add(swarm: string, by: number): void {
    const count = this.of(swarm) + by;
    if (count === 0) this.#counts.delete(swarm);
    else this.#counts.set(swarm, count);
  }
}

/** What each swarm uses of the pool. Derived from the rows. */
export class Usage {
  /** Tasks that are given out. */
  readonly running = new Counter();
  /** Tasks that wait, for whatever. */
  readonly queued = new Counter();
  /** Agents that it has borrowed. */
  readonly leases = new Counter();
  /** Agents of its own that it has lent. */
  readonly lent = new Counter();
  /** Requests for agents that wait. */
  readonly requests = new Counter();

  /** A task is there, or its row has changed. */
  task(before: TaskRow | undefined, row: TaskRow): void {
    const [from, to] = [before && this.#countOf(before), this.#countOf(row)];
    if (from === to) return;
    from?.add(row.spec.swarm, -1);
    to?.add(row.spec.swarm, 1);
  }

  /** Where a task is counted; nowhere when it has ended. */
  #countOf(row: TaskRow): Counter | undefined {
    if (currentAttempt(row)) return this.running;
    return hasEnded(row.state) ? undefined : this.queued;
  }

  /** A lease's row came (1) or went (-1). */
  lease(row: LeaseRow, by: 1 | -1): void {
    if (row.endedAt > 0) return;
    this.leases.add(row.borrower, by);
    this.lent.add(row.lender, by);
  }
}
