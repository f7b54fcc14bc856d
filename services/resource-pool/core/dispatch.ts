import { otherVoters } from './ballot.ts';
import { Shortlist } from './choice.ts';
import { isHeld } from './held.ts';
import { Lender } from './lender.ts';
import { meets } from './need.ts';
import { asksOf, openOffer } from './offered.ts';
import { type Waiter, type Waiting, waitingOf } from './queue.ts';
import { Quotas } from './quotas.ts';
import type { Ranked } from './ranked.ts';
import { type AgentRow, currentAttempt, type TaskRow } from './rows.ts';
import type { PoolEvent, PoolState } from './state.ts';
import { Stealer } from './stealing.ts';
import { isFree, isSameOffer, offerOf, type Spot, type Worker } from './workers.ts';

/**
 * Which waiting task goes to which agent.
 *
 * Between decisions no task waits while an agent that fits it is free. So a decision need only look at what it changes
 * itself: the tasks that it queues, and the agents to which it gives room. A plan collects these changes without
 * touching the state, says how the state will then look to the dispatcher, and makes the assignments that restore the
 * rule. The alternative, a tick that looks for work, would cost every task a record more before it starts.
 *
 * Tasks go by priority, then age. An agent is preferred that did not have the task's last attempt, then the one with the
 * highest score (score.ts), then by name.
 */
export class Plan {
  readonly #state: PoolState;
  /** Agents as they will be, for those that this decision changes. Undefined = will be gone. */
  readonly #changed = new Map<string, Spot | undefined>();
  /** Agents that may have room for a waiting task. Made when there are any, as all that most plans do without. */
  #opened: Set<string> | undefined;
  /** Tasks that this decision queues. */
  readonly #queued: Waiting[] = [];
  /** Waiting tasks that this plan has given out, or that will not wait any more. */
  #taken: Set<string> | undefined;
  /** Tasks whose attempts end. */
  #vacated: Set<string> | undefined;
  /** Leases under which this plan has given out tasks. */
  #used: Set<string> | undefined;
  /** By group: who has which vote, where this plan changes that; empty = nobody. */
  #voters: Map<string, Map<string, string>> | undefined;
  #quotas: Quotas | undefined;
  #lender: Lender | undefined;
  #stealer: Stealer | undefined;

  constructor(state: PoolState) {
    this.#state = state;
  }

  /** What swarms may still use. */
  get quotas(): Quotas {
    this.#quotas ??= new Quotas(this.#state);
    return this.#quotas;
  }

  /** The task's current attempt ends, so that its agent has a slot more. */
  vacate(task: TaskRow): void {
    const attempt = currentAttempt(task);
    const spot = attempt && this.spot(attempt.agent);
    this.#vacated ??= new Set();
    this.#vacated.add(task.id);
    this.quotas.count('running', task.spec.swarm, -1);
    if (spot) this.#change(this.#loaded(spot, spot.busy - 1));
  }

  /** Will the task's attempt have ended? */
  hasVacated(task: string): boolean {
    return this.#vacated?.has(task) === true;
  }

  /** Has the plan given out tasks under the lease? */
  hasUsed(lease: string): boolean {
    return this.#used?.has(lease) === true;
  }

  /** The agent's row will be as given; slots in use stay what they are in this plan. */
  changeRow(row: AgentRow): void {
    const { scoring, measures } = this.#state;
    const before = this.spot(row.key);
    const offer = before && isSameOffer(before.row, row) ? before.offer : offerOf(row);
    const merit = scoring.merit(row, measures.get(row.key));
    this.#change(this.#loaded({ row, offer, merit }, before?.busy ?? 0));
  }

  /** The agent will be gone. */
  remove(key: string): void {
    this.#changed.set(key, undefined);
  }

  /** The task will wait: it is new, or its attempt has ended and it is tried again. */
  queue(task: Waiter): void {
    const asks = openOffer(task, this.#state.stealing.afterMs);
    if (asks) this.stealer.offer([asks]);
    this.#queued.push(waitingOf(task));
  }

  /**
   * The task's attempt ends and it is tried again, at once or after a while, unless its group holds it back; `to`: idle
   * agents of this swarm may take it.
   */
  again(task: TaskRow, delayMs: number, to = ''): void {
    if (task.spec.ties?.vote) this.#vote(task.spec.ties.group, task.id, '');
    if (delayMs > 0 || isHeld(this.#state, task)) return;
    this.queue(task);
    if (to !== '') this.stealer.offer([asksOf(task, to)]);
  }

  /** The agents that have another vote of the same group. */
  #barredFrom({ ballot, id }: Waiting): ReadonlySet<string> {
    return otherVoters(this.#state.ties.members(ballot)?.voters, this.#voters?.get(ballot), id);
  }

  #vote(ballot: string, task: string, agent: string): void {
    this.#voters ??= new Map();
    const known = this.#voters.get(ballot);
    if (known) known.set(task, agent);
    else this.#voters.set(ballot, new Map([[task, agent]]));
  }

  /** The task will no longer wait. */
  unqueue(id: string): void {
    this.#taken ??= new Set();
    this.#taken.add(id);
  }

  /** Lends what is free. */
  get lender(): Lender {
    this.#lender ??= new Lender(this.#state, this);
    return this.#lender;
  }

  /** Lets idle agents take what waits elsewhere. */
  get stealer(): Stealer {
    this.#stealer ??= new Stealer(this.#state, this, this.lender);
    return this.#stealer;
  }

  get #isStealing(): boolean {
    return this.#state.stealing.tasks.size > 0 || this.#stealer?.isWanted === true;
  }

  /** Waiting tasks that will not wait any more. */
  get taken(): ReadonlySet<string> {
    return this.#taken ?? NO_KEYS;
  }

  /** The agent as it will be. */
  spot(key: string): Spot | undefined {
    return this.#changed.has(key) ? this.#changed.get(key) : this.#state.workers.get(key);
  }

  /** By key, as they will be, the agents that this decision changes; undefined = will be gone. */
  changes(): ReadonlyMap<string, Spot | undefined> {
    return this.#changed;
  }

  /** The agents that this decision changes and that stay, as they will be. */
  changed(): Spot[] {
    const spots: Spot[] = [];
    for (const spot of this.#changed.values()) if (spot) spots.push(spot);
    return spots;
  }

  /** The assignments and grants that follow from the changes, after the events that bring these about. */
  assignments(): PoolEvent[] {
    const events: PoolEvent[] = [];
    if (!this.#isAwaited) return events;
    this.#stealer?.tryAgain();
    let tasks = [...this.#queued];
    this.#addWaiting(tasks);
    let isLent = false;
    do {
      while (tasks.length > 0) {
        if (tasks.length > 1) tasks.sort(this.#state.queue.byOrder);
        const before = events.length;
        for (const task of tasks) this.#assign(task, events);
        // Another round only when agents got less than they were offered, because others took their tasks.
        tasks = [];
        if (events.length > before) this.#addWaiting(tasks);
      }
      // An agent that was lent and found no task leaves others that may be taken.
      isLent =
        (this.#state.asking.size > 0 && this.lender.grant(this.#opened ?? NO_KEYS, events)) ||
        (this.#isStealing && this.stealer.steal(this.#opened ?? NO_KEYS, events));
      if (isLent) tasks = [...this.unplaced(), ...this.#forOpened()];
    } while (isLent);
    return events;
  }

  /** Does anything wait that this decision may help? Mostly nothing does where agents are only borrowed. */
  get #isAwaited(): boolean {
    const { queue, asking } = this.#state;
    return this.#queued.length > 0 || queue.size > 0 || asking.size > 0 || this.#isStealing;
  }

  /** Adds the tasks that wait in the queue and may be given out now. */
  #addWaiting(tasks: Waiting[]): void {
    if (this.#state.queue.size > 0) tasks.push(...this.#forOpened(), ...this.#forWoken());
  }

  /** The tasks that this decision queues and that wait. */
  unplaced(): Waiting[] {
    return this.#queued.filter(({ id }) => !this.taken.has(id));
  }

  /** What waited for its swarm's limit and not for an agent: it may find one that was free all the time. */
  #forWoken(): Waiting[] {
    if (!this.#quotas || this.#quotas.woken.size === 0) return [];
    const { queue } = this.#state;
    return [...this.#quotas.woken].flatMap((swarm) => queue.heads(swarm, this.taken));
  }

  #loaded({ row, offer, merit }: Omit<Spot, 'busy' | 'rank'>, busy: number): Spot {
    return { row, offer, merit, busy, rank: this.#state.scoring.rank(merit, busy, row.slots) };
  }

  #change(spot: Spot): void {
    this.#changed.set(spot.row.key, spot);
    this.#opened ??= new Set();
    this.#opened.add(spot.row.key);
  }

  #assign(task: Waiting, events: PoolEvent[]): void {
    const { swarm } = task.wish;
    if (this.#taken?.has(task.id)) return;
    const isLimited = this.#quotas !== undefined || this.#state.limits.size > 0;
    const list = isLimited && !this.quotas.mayRun(swarm) ? undefined : this.#candidatesFor(task);
    const spot = list?.first;
    if (!list || !spot) return;
    if (isLimited) this.quotas.count('running', swarm, 1);
    this.unqueue(task.id);
    if (task.ballot !== '') this.#vote(task.ballot, task.id, spot.row.key);
    const choice = this.#state.keptScores > 0 ? list.choice(this.#state, spot) : undefined;
    this.#changed.set(spot.row.key, this.#loaded(spot, spot.busy + 1));
    const { key, instance, lease } = spot.row;
    if (lease !== '') {
      this.#used ??= new Set();
      this.#used.add(lease);
    }
    events.push({
      type: 'task.assigned',
      data: { task: task.id, attempt: task.attempt, agent: key, instance, lease, choice },
    });
  }

  /** As many of the first waiting tasks as the opened agents have room for. */
  #forOpened(): Waiting[] {
    if (!this.#opened || this.#state.queue.size === 0) return [];
    const found = new Map<string, Waiting>();
    for (const key of this.#opened) {
      const spot = this.spot(key);
      if (!spot || !isFree(spot)) continue;
      const { serving, type, slots } = spot.row;
      const isBarred = (vote: Waiting) => this.#barredFrom(vote).has(key);
      const room = slots - spot.busy;
      for (const task of this.#state.queue.first(serving, type, spot.offer, room, this.taken, isBarred))
        found.set(task.id, task);
    }
    return [...found.values()];
  }

  #candidatesFor(task: Waiting): Shortlist {
    const { workers, scoring, keptScores } = this.#state;
    const { wish, type, avoid } = task;
    const barred = task.ballot === '' ? undefined : this.#barredFrom(task);
    if (avoid !== '') this.#setApart(avoid);
    for (const agent of barred ?? []) this.#setApart(agent);
    const list = new Shortlist(Math.max(1, keptScores), wish, avoid);
    let candidates = 0;
    const { need } = wish;
    const isFresh = this.#changed.size === 0;
    for (const { offer, free } of workers.serving(wish.swarm, type)) {
      if (!meets(offer, need)) continue;
      candidates += free.size;
      const first = isFresh ? free.first : this.firstUnchanged(free);
      if (!first) continue;
      const score = scoring.fit(offer, wish) + first.rank;
      // Asked here, since most are refused by it and this is the dispatcher's inner loop.
      if (score >= list.least) list.consider(first, score, free);
    }
    for (const [key, spot] of this.#changed) {
      const before = workers.get(key);
      if (before && isCandidate(before, task)) candidates--;
      if (!spot || !isCandidate(spot, task)) continue;
      if (barred?.has(key)) continue;
      candidates++;
      list.consider(spot, scoring.fit(spot.offer, wish) + spot.rank);
    }
    list.complete(candidates, this.#changed);
    return list;
  }

  /** The agent is looked at by itself, and not as one of its class. */
  #setApart(agent: string): void {
    if (!this.#changed.has(agent)) this.#changed.set(agent, this.spot(agent));
  }

  /** The best of those that this plan has not changed. */
  firstUnchanged(free: Ranked<Worker>): Worker | undefined {
    const { first } = free;
    if (!first || this.#changed.size === 0 || !this.#changed.has(first.row.key)) return first;
    for (const worker of free.inOrder()) if (!this.#changed.has(worker.row.key)) return worker;
    return undefined;
  }
}

const NO_KEYS: ReadonlySet<string> = new Set();

const isCandidate = (spot: Spot, { type, wish }: Waiting): boolean =>
  spot.row.serving === wish.swarm && spot.row.type === type && isFree(spot) && meets(spot.offer, wish.need);
