import type { Machine } from '../../../libs/protocol/machine.ts';
import type { LeaseGranted } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { Lender, LendingPlan } from './lender.ts';
import type { Asks } from './requests.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolState } from './state.ts';
import { putTask } from './store.ts';
import { next } from './task-states.ts';
import { agentWith, taskWith } from './whole-rows.ts';
import type { Spot, Worker } from './workers.ts';

export const stealingEvents = (settings: PoolSettings): Pick<Machine<PoolShape>['events'], 'task.offered'> => ({
  'task.offered': {
    apply(state, data, at) {
      for (const id of data.tasks) {
        const task = state.tasks.get(id);
        const to = task && next(task.state, 'offer');
        if (!to) continue;
        const offered = { at: at.time, attempt: task.attempts.length + 1 };
        putTask(state, taskWith(task, { state: to, offered, revision: at.revision }), settings);
      }
    },
    key: () => '',
  },
});

/** A plan, as far as stealing reads and changes it. */
interface StealingPlan extends LendingPlan {
  /** Waiting tasks that will not wait any more. */
  readonly taken: ReadonlySet<string>;
}

/**
 * Work stealing: idle agents take work that has waited long for agents of its own swarm.
 *
 * A task that has waited as long as the policy says is offered: from then on an agent of another swarm that is free at
 * home takes it, as its swarm's lending policy and the borrower's limits allow; of several swarms the one that had least
 * is helped first (fair-share.ts). Taking is a lease that nobody asked for: the agent serves the other swarm, and goes
 * home when nothing is left to do there, when a task of its own swarm finds no agent, or at the end of its term, in each
 * case after what it runs. So all that holds for lending holds here. The alternative, to hand out single attempts across
 * swarms, would need each of these rules a second time.
 *
 * This is the part of a plan that does it: one lease at a time, so that an agent's slots are filled before another comes.
 */
export class Stealer {
  readonly #state: PoolState;
  readonly #plan: StealingPlan;
  readonly #lender: Lender;
  /** Tasks that this decision offers, and for which an agent may still be found. */
  readonly #offered: Asks[] = [];
  /** For so many of these there was none as things are. */
  #tried = 0;
  /** Leases of this decision. */
  readonly #given = new Set<string>();

  constructor(state: PoolState, plan: StealingPlan, lender: Lender) {
    this.#state = state;
    this.#plan = plan;
    this.#lender = lender;
  }

  /** The tasks will be offered. */
  offer(tasks: readonly Asks[]): void {
    this.#offered.push(...tasks);
  }

  /** Things have changed: what found no agent before may find one. */
  tryAgain(): void {
    this.#tried = 0;
  }

  get isWanted(): boolean {
    return this.#offered.length > 0 || this.#state.stealing.tasks.size > 0;
  }

  /** Lets one agent that is idle take work of another swarm. False when there was none, or nothing for it to take. */
  steal(opened: ReadonlySet<string>, events: PoolEvent[]): boolean {
    for (; this.#tried < this.#offered.length; this.#tried++) {
      const task = this.#offered[this.#tried] as Asks;
      // It is not passed over: the agent may take another of the swarm's tasks, one that goes first.
      if (this.#findAgent(task, events)) return true;
    }
    if (this.#state.stealing.tasks.size === 0) return false;
    for (const key of opened) if (this.#findTask(this.#plan.spot(key), events)) return true;
    const { quotas } = this.#plan;
    for (const swarm of quotas.woken) {
      for (const asks of this.#state.stealing.tasks.heads(swarm, this.#plan.taken)) {
        if (this.#findAgent(asks, events)) return true;
      }
    }
    for (const home of this.#lender.lendersWithNews()) if (this.#findTaskForAny(home, events)) return true;
    return false;
  }

  /** Usually one is enough for a task's next attempt; not when its agent took another task first. */
  #newId(first: string): string {
    let id = first;
    for (let i = 2; this.#given.has(id) || this.#state.leases.has(id); i++) id = `${first}-${i}`;
    this.#given.add(id);
    return id;
  }

  #findAgent(asks: Asks, events: PoolEvent[]): boolean {
    const spot = this.#isOpen(asks) ? this.#lender.candidatesFor(asks.wish).first : undefined;
    if (spot) this.#take(asks, spot, events);
    return spot !== undefined;
  }

  #findTask(spot: Spot | undefined, events: PoolEvent[]): boolean {
    if (!spot || !this.#lender.isLendable(spot)) return false;
    const may = (swarm: string) => this.#mayTakeFor(swarm) && this.#lender.mayLend(spot.row, swarm);
    const { tasks } = this.#state.stealing;
    const asks = tasks.next(spot.row.type, spot.offer, this.#lender.fair, may, this.#plan.taken);
    if (asks) this.#take(asks, spot, events);
    return asks !== undefined;
  }

  /** An agent that was free all the time may be lent now. */
  #findTaskForAny(home: string, events: PoolEvent[]): boolean {
    for (const { own } of this.#state.workers.ofHome(home)) {
      const first: Worker | undefined = this.#plan.firstUnchanged(own);
      if (first && this.#findTask(first, events)) return true;
    }
    return this.#plan.changed().some((spot) => spot.row.home === home && this.#findTask(spot, events));
  }

  #isOpen({ id, wish }: Asks): boolean {
    return !this.#plan.taken.has(id) && this.#mayTakeFor(wish.swarm);
  }

  #mayTakeFor(swarm: string): boolean {
    return this.#plan.quotas.mayBorrow(swarm) && this.#plan.quotas.mayRun(swarm);
  }

  #take({ id, order, wish }: Asks, spot: Spot, events: PoolEvent[]): void {
    const { row } = spot;
    const task = this.#state.tasks.get(id);
    const data: LeaseGranted = {
      lease: this.#newId(`lease-${order.toString(36)}-${(task?.attempts.length ?? 0) + 1}`),
      ...{ agent: row.key, lender: row.home, borrower: wish.swarm, termMs: wish.termMs },
      ...{ registration: task?.registration ?? '', request: '', task: id, why: whyOf(wish) },
      choice: this.#lender.choiceOf(wish, spot, 0),
    };
    events.push({ type: 'lease.granted', data });
    this.#lender.count(data);
    this.#plan.changeRow(agentWith(row, { lease: data.lease, serving: data.borrower }));
  }
}

/** Empty = it had waited long. */
const whyOf = ({ lender }: Asks['wish']): string => (lender === '' ? '' : `whose agent moves to swarm ${lender}`);
