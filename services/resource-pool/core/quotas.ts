import type { LimitsRow } from './rows.ts';
import type { PoolState } from './state.ts';

type What = 'running' | 'leases';

/**
 * What swarms may still use, as a plan goes on: the state's counts and what the plan adds to them. Remembers which swarms
 * it has given room, since what waits for that is not found by looking at free agents.
 */
export class Quotas {
  readonly #state: PoolState;
  /** What follows is made when there is something to keep, as most plans have no limits to heed. */
  readonly #added: Record<What, Map<string, number> | undefined> = { running: undefined, leases: undefined };
  #changed: Map<string, LimitsRow> | undefined;
  #woken: Set<string> | undefined;

  constructor(state: PoolState) {
    this.#state = state;
  }

  /** Swarms that a limit may have held up and that have room now. */
  get woken(): ReadonlySet<string> {
    return this.#woken ?? NONE;
  }

  /** The swarm's limits will be these. */
  change(limits: LimitsRow): void {
    this.#changed ??= new Map();
    this.#changed.set(limits.swarm, limits);
    this.#wake(limits.swarm);
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
    const added = this.#added[what] ?? new Map<string, number>();
    this.#added[what] = added.set(swarm, (added.get(swarm) ?? 0) + by);
    if (by < 0) this.#wake(swarm);
  }

  #wake(swarm: string): void {
    this.#woken ??= new Set();
    this.#woken.add(swarm);
  }

  #limitsOf(swarm: string): LimitsRow | undefined {
    return this.#changed?.get(swarm) ?? this.#state.limits.get(swarm);
  }

  #hasRoom(what: What, swarm: string, max: number | undefined): boolean {
    return !max || this.#state.usage[what].of(swarm) + (this.#added[what]?.get(swarm) ?? 0) < max;
  }
}

const NONE: ReadonlySet<string> = new Set();
