import type { LimitsRow } from './rows.ts';
import type { PoolState } from './state.ts';

type What = 'running' | 'leases';

/**
 * What swarms may still use, as a plan goes on: the state's counts and what the plan adds to them. Remembers which swarms
 * it has given room, since what waits for that is not found by looking at free agents.
 */
export class Quotas {
  readonly #state: PoolState;
  readonly #added: Record<What, Map<string, number>> = { running: new Map(), leases: new Map() };
  readonly #changed = new Map<string, LimitsRow>();
  /** Swarms that a limit may have held up and that have room now. */
  readonly woken = new Set<string>();

  constructor(state: PoolState) {
    this.#state = state;
  }

  /** The swarm's limits will be these. */
  change(limits: LimitsRow): void {
    this.#changed.set(limits.swarm, limits);
    this.woken.add(limits.swarm);
  }

  mayRun(swarm: string): boolean {
    return this.#hasRoom('running', swarm, this.#limitsOf(swarm)?.maxRunning);
  }

  mayBorrow(swarm: string): boolean {
    return this.#hasRoom('leases', swarm, this.#limitsOf(swarm)?.maxLeases);
  }

  /** The plan gives out a task or lends an agent (1), or ends that (-1). */
  count(what: What, swarm: string, by: 1 | -1): void {
    const limits = this.#limitsOf(swarm);
    if (!limits) return;
    const added = this.#added[what];
    added.set(swarm, (added.get(swarm) ?? 0) + by);
    if (by < 0) this.woken.add(swarm);
  }

  #limitsOf(swarm: string): LimitsRow | undefined {
    return this.#changed.get(swarm) ?? this.#state.limits.get(swarm);
  }

  #hasRoom(what: What, swarm: string, max: number | undefined): boolean {
    return !max || this.#state.usage[what].of(swarm) + (this.#added[what].get(swarm) ?? 0) < max;
  }
}
