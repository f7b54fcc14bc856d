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

  /** A task's row came (1) or went (-1). */
  task(row: TaskRow, by: 1 | -1): void {
    if (currentAttempt(row)) this.running.add(row.spec.swarm, by);
    else if (!hasEnded(row.state)) this.queued.add(row.spec.swarm, by);
  }

  /** A lease's row came (1) or went (-1). */
  lease(row: LeaseRow, by: 1 | -1): void {
    if (row.endedAt > 0) return;
    this.leases.add(row.borrower, by);
    this.lent.add(row.lender, by);
  }
}
