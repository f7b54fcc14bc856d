import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Table } from '../kernel/table.ts';
import { isOver } from '../protocol/call.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import { AnonymousReads } from './anonymous-reads.ts';
import { Group, type Waiting } from './group.ts';
import { Lanes } from './lanes.ts';
import type { Announcer, Envelope, Log, Observer, Sabotage } from './ports.ts';
import { encodeGroup } from './record.ts';
import type { Replica } from './replica.ts';
import type { JournalSettings } from './settings.ts';

export interface LeaderDeps<M extends Shape> {
  readonly log: Log;
  readonly announcer: Announcer;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly settings: JournalSettings;
  readonly soft: M['soft'];
  /** A new record id: the writer and a counter. */
  envelope(): Envelope;
  /** Called after each commit, before callers are answered. */
  committed(group: Group<M, M['soft']>): void;
  /** Called once when it cannot go on. `ahead`: its state holds what was not committed and must be thrown away. */
  deposed(ahead: boolean): void;
}

const TICK: Waiting = {
  kind: 'tick',
  name: 'tick',
  input: undefined,
  call: {
    principal: { kind: 'service', name: 'clock' },
    trace: { traceparent: '', correlationId: '', hops: 0 },
    signal: new AbortController().signal,
  },
  settle: () => {},
};

/**
 * A leader in its epoch: group commit.
 *
 * While a record is in flight, commands and linearizable reads wait; then all of them are decided in order and go out
 * as one record that expects the sequence before it. One record is in flight at a time: more gave no throughput, and
 * with several a refused one may be followed by an accepted one. Nothing that rests on a record leaves before it is
 * committed; then, in this order: watchers, effects and snapshots hear of it (`committed`), callers are answered, the
 * next record is sent, the announcements go out.
 */
export class Leader<M extends Shape> {
  readonly #replica: Replica<M>;
  readonly #deps: LeaderDeps<M>;
  readonly #machine: Machine<M>;
  readonly #timeBase: number;
  readonly #monotonicBase: number;
  readonly #sabotage: Sabotage;
  readonly #tables: readonly Table<unknown>[];
  readonly #anonymous: AnonymousReads;
  readonly #lanes: Lanes;
  #inFlight: Group<M, M['soft']> | undefined;
  #afterCommit: (() => void)[] = [];
  #scheduled = false;
  #verifying = false;
  #ended = false;
  /** Set while the store refuses records for want of space. */
  #full: HiveError | undefined;
  #timer: Disposable | undefined;
  #timerDue: number | undefined;

  constructor(replica: Replica<M>, deps: LeaderDeps<M>, sabotage: Sabotage = {}) {
    this.#replica = replica;
    this.#deps = deps;
    this.#machine = replica.machine;
    this.#sabotage = sabotage;
    this.#tables = Object.values(this.#machine.tables(replica.state));
    for (const table of this.#tables) table.stage();
    const { service, newWork = new Set<string>() } = this.#machine;
    this.#lanes = new Lanes(deps.clock, service, newWork, deps.settings.maxQueue);
    this.#anonymous = new AnonymousReads(deps.clock, () => this.#schedule());
    this.#timeBase = Math.max(replica.time, deps.clock.now());
    this.#monotonicBase = deps.clock.monotonic();
    this.#armTimer();
  }

  /** Machine time: never goes back, and does not jump with the wall clock while one leader leads. */
  now(): number {
    const elapsed = this.#deps.clock.monotonic() - this.#monotonicBase;
    return Math.max(this.#replica.time, Math.floor(this.#timeBase + elapsed));
  }

  get idle(): boolean {
    return this.#inFlight === undefined;
  }

  /** Takes a command or a linearizable read into the next group. */
  submit(waiting: Waiting): void {
    if (this.#ended) return waiting.settle({ error: leaderChanged() });
    if (this.#full) return waiting.settle({ error: this.#full });
    if (AnonymousReads.isOne(waiting)) this.#anonymous.add(waiting);
    else this.#enqueue(waiting);
    this.#schedule();
  }

  /**
   * Somebody says that a later epoch has begun. That is only a hint, which anybody may give: a barrier tells, since it is
   * refused when it is true.
   */
  verify(): void {
    if (this.#inFlight || this.#verifying) return; // what is in flight will tell
    this.#verifying = true;
    const settle = () => {
      this.#verifying = false;
    };
    this.submit({ ...TICK, kind: 'barrier', name: 'verify', settle });
  }

  /** Runs `read` on committed state: now, or right after the record in flight. */
  whenCommitted(read: () => void): void {
    if (this.#inFlight) this.#afterCommit.push(read);
    else read();
  }

  /** Resolves when nothing waits and nothing is in flight, or nothing will come of it. */
  async drained(): Promise<void> {
    while (!this.#ended && !this.#full && (this.#inFlight || this.#lanes.size + this.#anonymous.size > 0)) {
      await new Promise<void>((resolve) => this.#afterCommit.push(resolve));
    }
  }

  /** Stops deciding. `error` is for the record in flight; what still waits was not done and may be asked elsewhere. */
  end(error: HiveError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#timer?.[Symbol.dispose]();
    // A state that is ahead of the journal is thrown away; another is what a standby goes on with.
    if (!this.#inFlight) for (const table of this.#tables) table.unstage();
    const waiting = [...this.#lanes.takeAll(), ...this.#anonymous.takeAll()];
    this.#inFlight?.fail(error);
    this.#inFlight = undefined;
    for (const one of waiting) one.settle({ error: leaderChanged() });
    this.#runAfterCommit();
  }

  #enqueue(waiting: Waiting): void {
    const error = this.#lanes.add(waiting);
    if (error) waiting.settle({ error });
  }

  #schedule(): void {
    if (this.#scheduled || this.#inFlight || this.#ended) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#inFlight || this.#ended) return;
    for (const reader of this.#anonymous.take(this.#lanes.size > 0)) this.#enqueue(reader);
    if (this.#lanes.size === 0) return;
    const group = this.#gather();
    if (!group) return;
    if (group.empty) {
      this.#runAfterCommit();
      this.#armTimer(1000);
      return this.#schedule();
    }
    this.#inFlight = group;
    void this.#append(group);
  }

  async #append(group: Group<M, M['soft']>): Promise<void> {
    const envelope = this.#deps.envelope();
    const body = group.encode();
    if (this.#sabotage.replyBeforeCommit) group.settle();
    const watch = this.#deps.observer.appending({
      commands: group.commands,
      bytes: body.length,
      traces: () => group.traces(),
    });
    const appended = await this.#deps.log.append(group.revision - 1, envelope, body, watch?.traceparent ?? '');
    watch?.ended(appended.outcome);
    if (this.#ended) return;
    if (watch?.traceparent) group.follow(watch.follow);
    if (appended.outcome === 'committed') return this.#commit(group);
    this.#deps.observer.count(appended.outcome);
    if (appended.outcome === 'refused') return this.#deps.deposed(true);
    await this.#lookUp(group, envelope.id, appended.error);
  }

  /** Undefined when an event could not be applied, a defect: the state is thrown away with everything in the group. */
  #gather(): Group<M, M['soft']> | undefined {
    const group = new Group<M, M['soft']>(this.#replica, this.#deps.soft, this.now(), this.#deps.settings);
    let isBroken = false;
    this.#lanes.gather((next) => {
      if (isBroken || group.full) return false;
      try {
        if (!isOver(next.call)) return group.take(next);
        next.settle({ error: gaveUp() });
      } catch (cause) {
        isBroken = true;
        this.#defect(group, next, HiveError.from(cause));
      }
      return true;
    });
    return isBroken ? undefined : group;
  }

  #defect(group: Group<M, M['soft']>, culprit: Waiting, error: HiveError): void {
    this.#deps.observer.log('error', `an event of ${culprit.name} could not be applied`, { why: error.message });
    culprit.settle({ error });
    group.fail(leaderChanged());
    this.#inFlight = group; // the state is ahead of the journal
    this.#deps.deposed(true);
  }

  #commit(group: Group<M, M['soft']>): void {
    this.#full = undefined;
    this.#inFlight = undefined;
    this.#replica.seq = group.revision;
    this.#replica.time = Math.max(this.#replica.time, group.time);
    for (const table of this.#tables) table.commit();
    this.#deps.committed(group);
    group.settle();
    this.#runAfterCommit();
    this.#armTimer();
    this.#schedule();
    if (group.announcements.length > 0) {
      this.#deps.clock.defer(() => this.#deps.announcer.announce(group.announcements));
    }
  }

  /**
   * The outcome of an append is not known. What stands at its sequence decides: our record, or another. While nothing
   * does, a barrier is appended that expects the same sequence: once it stands, the lost record cannot arrive any more.
   * Callers wait meanwhile, unless the store is full: that may last, so they are told, those of this record that its outcome
   * is not known.
   */
  async #lookUp(group: Group<M, M['soft']>, id: string, why: HiveError): Promise<void> {
    const { observer, clock } = this.#deps;
    observer.log('warn', 'the outcome of an append is not known', { revision: group.revision, why: why.message });
    if (why.code === 'RESOURCE_EXHAUSTED') this.#refuseAll(why);
    for (let attempt = 0; !this.#ended; attempt++) {
      const found = await this.#whatStandsAt(group.revision, id);
      if (this.#ended) return;
      if (found === 'ours') return this.#commit(group);
      if (found === 'gone') group.fail(outcomeUnknown());
      if (found !== 'unclear') return this.#deps.deposed(true);
      await pause(clock, Math.min(20 * 2 ** attempt, 1000));
    }
  }

  async #whatStandsAt(seq: number, id: string): Promise<'ours' | 'another' | 'gone' | 'unclear'> {
    const { log } = this.#deps;
    try {
      const entry = await log.entryAt(seq);
      if (entry) return entry.envelope?.id === id ? 'ours' : 'another';
      // A rival leads already and has purged what stood there.
      if ((await log.bounds()).first > seq) return 'gone';
      const barrier = await log.append(seq - 1, this.#deps.envelope(), encodeGroup(this.now(), []), '');
      return barrier.outcome === 'committed' ? 'another' : 'unclear';
    } catch {
      return 'unclear'; // the stream cannot be read now; asked again
    }
  }

  /** Of what waits, and of reads, nothing was done. What the record in flight holds may be kept all the same. */
  #refuseAll(error: HiveError): void {
    this.#full = error;
    this.#inFlight?.fail(outcomeUnknown(error), error);
    for (const one of [...this.#lanes.takeAll(), ...this.#anonymous.takeAll()]) one.settle({ error });
  }

  #runAfterCommit(): void {
    if (this.#afterCommit.length === 0) return;
    const reads = this.#afterCommit;
    this.#afterCommit = [];
    for (const read of reads) read();
  }

  /**
   * Wakes the machine when it is next due. Timers may run a few milliseconds early: then it waits for the rest.
   * `overdueMs` keeps a tick that changed nothing although it was due from spinning.
   */
  #armTimer(overdueMs = 0): void {
    const due = this.#machine.nextDue(this.#replica.state, this.#replica.epoch.time);
    if (due === this.#timerDue) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#timerDue = due;
    if (due === undefined) return;
    const leftMs = due - this.now();
    const delayMs = Math.min(leftMs > 0 ? leftMs : overdueMs, 86_400_000);
    this.#timer = this.#deps.clock.after(delayMs, () => {
      this.#timerDue = undefined;
      this.submit(TICK);
    });
  }
}

/** It may have been done, and nobody here can tell. */
export function outcomeUnknown(cause?: HiveError): HiveError {
  const unknown = 'it is not known whether this was kept; repeat it with the same request id';
  const message = cause ? `${cause.message}: ${unknown}` : unknown;
  const { retryAfterMs } = cause ?? {};
  return new HiveError('UNAVAILABLE', message, {
    ...{ reason: 'OUTCOME_UNKNOWN', cause },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/** Nothing was done: whoever leads next may be asked the same. */
export const leaderChanged = (): HiveError =>
  new HiveError('UNAVAILABLE', 'the leader changed before this was done; try again', { reason: 'LEADER_CHANGED' });

const gaveUp = (): HiveError =>
  new HiveError('CANCELLED', 'the caller gave up before this was decided; nothing was done');
