import type { Choice, LeaseGranted } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { LendingChange, LendingPolicy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Shortlist } from './choice.ts';
import { FairShare, planned } from './fair-share.ts';
import type { Refusal } from './keepers.ts';
import { meets, wishOf } from './need.ts';
import type { Quotas } from './quotas.ts';
import type { Ranked } from './ranked.ts';
import type { Asks } from './requests.ts';
import type { AgentRow, RequestRow } from './rows.ts';
import type { PoolEvent, PoolState } from './state.ts';
import { agentWith } from './whole-rows.ts';
import { isFree, type Spot, type Worker } from './workers.ts';

/** A plan, as far as lending reads and changes it. */
export interface LendingPlan {
  readonly quotas: Quotas;
  spot(key: string): Spot | undefined;
  changes(): ReadonlyMap<string, Spot | undefined>;
  changed(): readonly Spot[];
  firstUnchanged(free: Ranked<Worker>): Worker | undefined;
  changeRow(row: AgentRow): void;
}

/**
 * The part of a plan that lends: who is lent what, as things will be when the plan is done. Whether an agent may be lent
 * is its swarm's to say (lending-policy.ts); who of those that wait gets it, fair-share.ts.
 */
export class Lender {
  readonly #state: PoolState;
  readonly #plan: LendingPlan;
  /** Waiting requests that this plan has granted, or that end. */
  #answered: Set<string> | undefined;
  #policies: Map<string, LendingPolicy> | undefined;
  #fair: FairShare | undefined;

  constructor(state: PoolState, plan: LendingPlan) {
    this.#state = state;
    this.#plan = plan;
  }

  /** Is it at home, with a free slot? */
  isLendable(spot: Spot): boolean {
    return isFree(spot) && spot.row.lease === '';
  }

  /** The request will no longer wait. */
  dropRequest(id: string): void {
    this.#answered ??= new Set();
    this.#answered.add(id);
  }

  /** A swarm's policy will be this. */
  changePolicy(policy: LendingPolicy): void {
    this.#policies ??= new Map();
    this.#policies.set(policy.swarm, policy);
  }

  /** Lends what has become free, and its home has no task for, to those who wait. False when there was nothing to do. */
  grant(opened: ReadonlySet<string>, events: PoolEvent[]): boolean {
    const before = events.length;
    for (const key of opened) this.#offer(this.#plan.spot(key), events);
    for (const swarm of this.#plan.quotas.woken) this.#serve(swarm, events);
    for (const home of this.lendersWithNews()) this.#offerAll(home, events);
    return events.length > before;
  }

  /** Which agent is lent: of another swarm, at home, with a free slot; the highest score (score.ts), then by name. */
  candidatesFor(wish: Asks['wish']): Shortlist {
    const { workers, scoring, keptScores } = this.#state;
    const asked = wishOf(wish);
    const list = new Shortlist(Math.max(1, keptScores), asked);
    const mayHave = ({ row, offer }: Spot) =>
      row.type === wish.type && isFrom(row.home, wish) && meets(offer, asked.need) && this.mayLend(row, wish.swarm);
    let candidates = 0;
    for (const { own } of workers.ofType(wish.type)) {
      const first = this.#plan.firstUnchanged(own);
      if (!first || !mayHave(first)) continue;
      candidates += own.size;
      list.consider(first, scoring.fit(first.offer, asked) + first.rank, own);
    }
    for (const [key, spot] of this.#plan.changes()) {
      const before = workers.get(key);
      // Counted with its class; a class without any that is unchanged was not counted.
      if (before && this.isLendable(before) && mayHave(before) && this.#plan.firstUnchanged(before.offer.own))
        candidates--;
      if (!spot || !this.isLendable(spot) || !mayHave(spot)) continue;
      candidates++;
      list.consider(spot, scoring.fit(spot.offer, asked) + spot.rank);
    }
    list.complete(candidates, this.#plan.changes());
    return list;
  }

  /** Does the home swarm lend another agent of this type to this borrower? */
  mayLend(agent: Pick<AgentRow, 'home' | 'type'>, borrower: string): boolean {
    return this.refusal(agent, borrower) === undefined;
  }

  /** What of the home's policy speaks against it; undefined = nothing. */
  refusal({ home, type }: Pick<AgentRow, 'home' | 'type'>, borrower: string): Refusal | undefined {
    const policy = this.#policyOf(home);
    if (!policy) return undefined;
    const { closed, to, maxLent, keepPercent } = policy;
    if (closed) return 'open';
    if (to.length > 0 && !to.includes(borrower)) return 'lend-to';
    if (maxLent > 0 && this.#lent(home) >= maxLent) return 'lend-more';
    if (keepPercent === 0) return undefined;
    const { reachable, lent } = this.#stock(home, type);
    return (reachable - lent - 1) * 100 >= reachable * keepPercent ? undefined : 'keep-less';
  }

  /** All that would have to change of the home's policy for one agent more of this type to be lent to the borrower. */
  remedy({ home, type }: Pick<AgentRow, 'home' | 'type'>, borrower: string): LendingChange {
    const { closed = false, to = [], maxLent = 0, keepPercent = 0, version = '0' } = this.#policyOf(home) ?? {};
    const lent = this.#lent(home);
    const stock = this.#stock(home, type);
    const most = Math.floor((Math.max(0, stock.reachable - stock.lent - 1) * 100) / Math.max(1, stock.reachable));
    const change: LendingChange = { parts: [], to: [], maxLent: 0, keepPercent: 0, version, thenBorrow: true };
    const must = (part: Refusal, what: Partial<LendingChange> = {}) => {
      change.parts.push(part);
      Object.assign(change, what);
    };
    if (closed) must('open');
    if (to.length > 0 && !to.includes(borrower)) must('lend-to', { to: [...to, borrower] });
    if (maxLent > 0 && lent >= maxLent) must('lend-more', { maxLent: lent + 1 });
    if (keepPercent > most) must('keep-less', { keepPercent: most });
    return change;
  }

  #policyOf(home: string): LendingPolicy | undefined {
    return this.#policies?.get(home) ?? this.#state.lending.get(home)?.policy;
  }

  #offer(spot: Spot | undefined, events: PoolEvent[]): boolean {
    if (!spot || !this.isLendable(spot)) return false;
    const { asking } = this.#state;
    const may = (swarm: string) => this.#plan.quotas.mayBorrow(swarm) && this.mayLend(spot.row, swarm);
    const answered = this.#answered ?? NONE;
    const request = asking.next(spot.row.type, spot.offer, this.fair, may, answered);
    if (request) this.#lend(request, spot, events, asking.size - answered.size);
    return request !== undefined;
  }

  /** A swarm that was at its limit may find agents that were free all the time. */
  #serve(swarm: string, events: PoolEvent[]): void {
    for (const request of this.#state.asking.heads(swarm, this.#answered ?? NONE)) {
      const spot = this.#plan.quotas.mayBorrow(swarm) ? this.candidatesFor(request.wish).first : undefined;
      if (spot) this.#lend(request, spot, events, 0);
    }
  }

  /** A swarm that could lend no more may now lend others than those that have become free. */
  #offerAll(home: string, events: PoolEvent[]): void {
    for (const { own } of this.#state.workers.ofHome(home)) {
      let first: Worker | undefined;
      do first = this.#plan.firstUnchanged(own);
      while (first && this.#offer(first, events));
    }
    for (const spot of this.#plan.changed()) if (spot.row.home === home) this.#offer(spot, events);
  }

  /** Swarms that say what they lend, and of whose agents this decision changes some. */
  lendersWithNews(): Set<string> {
    const homes = new Set(this.#policies?.keys());
    if (this.#state.lending.size === 0) return homes;
    for (const key of this.#plan.changes().keys()) {
      const home = key.slice(0, key.indexOf('/'));
      if (this.#state.lending.has(home)) homes.add(home);
    }
    return homes;
  }

  #lend(request: RequestRow, spot: Spot, events: PoolEvent[], waiting: number): void {
    const { row } = spot;
    const granted = { choice: this.choiceOf(request.wish, spot, waiting), ...grantOf(request, row) };
    events.push({ type: 'lease.granted', data: granted });
    this.dropRequest(request.id);
    this.count(granted);
    this.#plan.changeRow(agentWith(row, { lease: granted.lease, serving: granted.borrower }));
  }

  /** Why this agent; undefined when that is not kept. */
  choiceOf(wish: Asks['wish'], spot: Spot, waiting: number): Choice | undefined {
    if (this.#state.keptScores === 0) return undefined;
    return this.candidatesFor(wish).choice(this.#state, spot, waiting);
  }

  /** A lease that the plan grants counts for whoever comes after. */
  count({ borrower, termMs }: Pick<LeaseGranted, 'borrower' | 'termMs'>): void {
    this.#plan.quotas.count('leases', borrower, 1);
    this.fair.grant(borrower, termMs);
  }

  /** What swarms will have had. */
  get fair(): FairShare {
    this.#fair ??= new FairShare(planned(this.#state.shares), this.#state.limits);
    return this.#fair;
  }

  /** How many agents of a home will be lent. */
  #lent(home: string): number {
    let lent = this.#state.usage.lent.of(home);
    for (const [key, spot] of this.#plan.changes()) {
      if (!key.startsWith(`${home}/`)) continue;
      lent += Number(isLent(spot?.row)) - Number(isLent(this.#state.agents.get(key)));
    }
    return lent;
  }

  /** How many agents of a home and type can be reached, and how many of them are lent, as it will be. */
  #stock(home: string, type: string): { reachable: number; lent: number } {
    const { workers, agents } = this.#state;
    let { reachable, lent } = workers.stock(home, type);
    const add = (row: AgentRow | undefined, by: number) => {
      if (row?.type !== type || row.state === 'AGENT_STATE_UNREACHABLE') return;
      reachable += by;
      if (isLent(row)) lent += by;
    };
    for (const [key, spot] of this.#plan.changes()) {
      if (!key.startsWith(`${home}/`)) continue;
      add(agents.get(key), -1);
      add(spot?.row, 1);
    }
    return { reachable, lent };
  }
}

const NONE: ReadonlySet<string> = new Set();

const isLent = (row: AgentRow | undefined): boolean => row !== undefined && row.lease !== '';

/** Does a request ask for agents of this home? */
export const isFrom = (home: string, { swarm, lender }: Pick<Asks['wish'], 'swarm' | 'lender'>): boolean =>
  home !== swarm && (lender === '' || lender === home);

/** A request leads to one lease at most, which is named after it. */
export const leaseOf = (request: string): string => `lease-${request.slice(request.indexOf('-') + 1)}`;

const grantOf = ({ id, wish, registration = '' }: RequestRow, agent: AgentRow): LeaseGranted => ({
  lease: leaseOf(id),
  agent: agent.key,
  lender: agent.home,
  borrower: wish.swarm,
  termMs: wish.termMs,
  registration,
  request: id,
  task: '',
  why: '',
});
