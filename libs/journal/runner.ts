import { setMaxListeners } from 'node:events';
import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import type { Call } from '../protocol/call.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { RequestIds } from '../protocol/request-ids.ts';
import { type AskingDeps, answerForwarded, ask, tokenMissing } from './asking.ts';
import { campaign } from './campaign.ts';
import type { Perform } from './effects.ts';
import type { Group } from './group.ts';
import { History } from './history.ts';
import { Intake } from './intake.ts';
import type { Committed, Journal, QueryOptions, Role } from './journal.ts';
import { type Leader, leaderChanged, outcomeUnknown } from './leader.ts';
import { Loading } from './loading.ts';
import type { Announcer, Entry, Envelope, LeaderLine, Log, Observer, Sabotage, SnapshotStore } from './ports.ts';
import { Reading } from './reading.ts';
import type { Replica } from './replica.ts';
import type { JournalSettings } from './settings.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';
import { standby } from './standby.ts';
import { Standing } from './standing.ts';
import { type Left, Tenure } from './tenure.ts';
import { watch } from './watch.ts';

export interface RunnerDeps<M extends Shape> {
  readonly machine: Machine<M>;
  readonly federation: string;
  readonly incarnation: string;
  readonly log: Log;
  readonly snapshots: SnapshotStore;
  readonly line: LeaderLine;
  readonly announcer: Announcer;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly settings: JournalSettings;
  readonly soft: M['soft'];
  /** Who a forwarded token proves; throws UNAUTHENTICATED. */
  readonly authenticate: (token: string) => Principal;
  /** Checks a command that another replica forwards, as its own door has checked it. */
  readonly checkCommand?: ((name: string, input: unknown) => void | Promise<void>) | undefined;
  readonly perform?: Perform | undefined;
  readonly sabotage?: Sabotage;
}

/**
 * A journal's life on one replica, as a loop over its states:
 *
 *     load ─► standby ─► campaign ─► lead ─► standby ...
 *       ▲        │ gap      │ lost             │ deposed, state ahead of the journal
 *       └────────┴──────────┴─ ◄───────────────┘
 *
 * Leadership is only a hint that saves wasted work: what counts is who gets the next sequence.
 */
export class Runner<M extends Shape> implements Journal<M> {
  readonly #deps: RunnerDeps<M>;
  readonly #history: History<M>;
  readonly #closing = new AbortController();
  readonly #standing: Standing;
  /** Committed state that may be read; undefined while none is loaded, or what is loaded is behind what was told. */
  #serving: Replica<M> | undefined;
  #tenure: Tenure<M> | undefined;
  readonly #intake: Intake;
  readonly #loading: Loading<M>;
  readonly #keeper: SnapshotKeeper;
  readonly #reading: Reading<M>;
  readonly #asking: AskingDeps<M>;
  #running: Promise<void> | undefined;

  constructor(deps: RunnerDeps<M>) {
    this.#deps = deps;
    this.#standing = new Standing(deps.machine.service, deps.observer);
    this.#history = new History(deps.settings);
    this.#intake = new Intake(deps);
    this.#loading = new Loading(deps);
    this.#keeper = new SnapshotKeeper(deps);
    this.#reading = new Reading({
      ...{ machine: deps.machine, clock: deps.clock, soft: deps.soft, recent: this.#history.recent },
      leader: () => this.#leader,
      serving: () => this.#serving,
      served: (signal) => this.#served(signal),
      notServing: () => this.#standing.notServing,
    });
    this.#asking = {
      ...{ line: deps.line, clock: deps.clock, forwardMs: deps.settings.forwardMs },
      requestIds: new RequestIds('replica'),
      leader: () => this.#leader,
      change: (signal) => this.#standing.next(signal),
      leads: (signal) => this.#standing.until(() => this.#leader !== undefined, signal),
      check: () => {
        if (this.failure) throw this.failure;
      },
      obstacle: () => this.#standing.obstacle,
    };
    setMaxListeners(0, this.#closing.signal); // everybody who waits listens to it
  }

  start(): this {
    this.#running ??= this.#run();
    return this;
  }

  get federation(): string {
    return this.#deps.federation;
  }

  get role(): Role {
    return this.#standing.role;
  }

  get revision(): number {
    return this.#history.revision;
  }

  get state(): M['state'] {
    if (!this.#serving) throw this.#standing.notServing;
    return this.#serving.state;
  }

  /** Why it has stopped for good; undefined while it has not. */
  get failure(): HiveError | undefined {
    return this.#standing.failure;
  }

  async ready(signal?: AbortSignal): Promise<void> {
    await this.#standing.until(() => this.#standing.isReady, signal);
  }

  execute<N extends keyof M['commands'] & string>(
    name: N,
    input: M['commands'][N]['input'],
    call: Call,
  ): Promise<M['commands'][N]['reply']> {
    if (call.principal.kind === 'anonymous') return Promise.reject(tokenMissing(name));
    return ask(this.#asking, { kind: 'command', name, input, call }) as Promise<M['commands'][N]['reply']>;
  }

  async query<N extends keyof M['queries'] & string>(
    name: N,
    input: M['queries'][N]['input'],
    call: Call,
    options: QueryOptions = {},
  ): Promise<M['queries'][N]['reply']> {
    if (options.linearizable) {
      return ask(this.#asking, { kind: 'query', name, input, call }) as Promise<M['queries'][N]['reply']>;
    }
    return this.#reading.query(name, input, options.minRevision ?? 0, call.signal);
  }

  async *watch(from: number, signal: AbortSignal, until?: number): AsyncGenerator<Committed<M>> {
    const over = AbortSignal.any([signal, this.#closing.signal]);
    await this.#served(over);
    const { machine, log } = this.#deps;
    const { recent } = this.#history;
    const marks = () => this.#history.marks;
    const isSkipped = (seq: number) =>
      this.#intake.passesOver(seq) || (this.#serving?.skipped.has(String(seq)) ?? false);
    yield* watch({ machine, log, recent, marks, isSkipped }, from, over, until);
  }

  async before(time: number, signal: AbortSignal): Promise<{ revision: number; compacted: boolean }> {
    await this.#served(signal);
    const { log } = this.#deps;
    const { first, last } = await log.bounds();
    const found = await log.firstSince(time, last + 1);
    // The first record of all begins an epoch and holds no events: nothing is missed by beginning after it.
    return { revision: Math.max(1, found - 1), compacted: found === first && first > 1 };
  }

  onCommitted(listener: (committed: Committed<M>) => void): Disposable {
    return this.#history.onCommitted(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#keeper.idle();
  }

  #served(signal: AbortSignal): Promise<void> {
    return this.#standing.until(() => this.#serving !== undefined, signal);
  }

  get #leader(): Leader<M> | undefined {
    return this.#tenure?.leader;
  }

  // ---- the loop

  async #run(): Promise<void> {
    let replica: Replica<M> | undefined;
    while (!this.#closing.signal.aborted) {
      try {
        replica ??= await this.#load();
        if (!(await this.#standby(replica))) continue;
        if ((await this.#candidate(replica)) === 'ahead') replica = undefined;
      } catch (caught) {
        const error = HiveError.from(caught);
        // What only could not be reached leaves the state as it is: it is read meanwhile, and goes on from there.
        if (error.code === 'UNAVAILABLE' && error.reason !== 'GAP') {
          this.#standing.cannotReach(error);
          await pause(this.#deps.clock, 100, this.#closing.signal);
          continue;
        }
        replica = undefined;
        const fatal = (error.code === 'DATA_LOSS' || error.code === 'INTERNAL') && !this.#loading.mayBeStale(error);
        if (fatal && !(await this.#intake.maySkip())) return this.#stop(error);
        this.#deps.observer.count('reload');
        this.#deps.observer.log('warn', 'the journal is loaded again', { why: error.message });
        await pause(this.#deps.clock, 100, this.#closing.signal);
      }
    }
    this.#serving = undefined;
    this.#standing.become('stopped');
  }

  #stop(error: HiveError): void {
    this.#serving = undefined;
    this.#standing.fail(error);
  }

  async #load(): Promise<Replica<M>> {
    this.#serving = undefined;
    this.#standing.become('starting');
    const replica = await this.#loading.load();
    this.#history.loaded(replica);
    this.#keeper.reset();
    return replica;
  }

  /** Follows until it is time to campaign (true), or until it is closed (false). */
  #standby(replica: Replica<M>): Promise<boolean> {
    const deps = {
      ...this.#deps,
      changes: this.#standing,
      seq: () => replica.seq,
      epoch: () => replica.epoch.epoch,
      take: (entry: Entry) => {
        const committed = this.#intake.take(replica, entry);
        this.#keeper.count(entry.body.length);
        this.#publish(replica, entry.seq, committed, entry.body.length);
      },
      caughtUp: () => {
        this.#standing.reached();
        this.#serving = replica;
        this.#standing.become('standby');
      },
      leaderHeard: (alive: boolean) => this.#standing.leaderHeard(alive),
    };
    return standby(deps, this.revision, this.#closing.signal);
  }

  /** Campaigns, and leads when it wins. Listens before it writes, so that nobody else campaigns meanwhile. */
  async #candidate(replica: Replica<M>): Promise<Left> {
    const { line, clock, rng } = this.#deps;
    let epoch = Number.POSITIVE_INFINITY;
    const listening = line.listen(
      (forwarded) => answerForwarded(this.#asking, this.#deps, forwarded, this.#closing.signal),
      (heard) => heard > epoch && this.#leader?.verify(),
    );
    try {
      const outcome = await campaign(this.#deps, replica);
      this.#standing.hinder('obstacle' in outcome ? outcome.obstacle : undefined);
      if (!('won' in outcome)) {
        const backoffMs = this.#standing.obstacle ? 500 : 5;
        await pause(clock, backoffMs + Math.floor(rng() * 20), this.#closing.signal);
        return 'clean';
      }
      const envelope = outcome.won;
      epoch = envelope.epoch;
      this.#publish(replica, replica.seq, undefined, 0);
      return await this.#lead(replica, envelope);
    } finally {
      listening[Symbol.dispose]();
      this.#resign();
    }
  }

  #lead(replica: Replica<M>, envelope: Envelope): Promise<Left> {
    const { observer, machine } = this.#deps;
    const { epoch } = envelope;
    const tenure = new Tenure<M>(
      { ...this.#deps, committed: (group) => this.#committed(replica, group) },
      replica,
      envelope,
    );
    this.#tenure = tenure;
    this.#serving = replica;
    tenure.performEffects();
    observer.count('takeover');
    observer.log('info', `leads the journal of ${machine.service}`, { epoch, revision: replica.seq });
    this.#standing.become('leader');
    tenure.beat();
    tenure.drainsOn(this.#closing.signal);
    return tenure.over;
  }

  #resign(): void {
    const tenure = this.#tenure;
    if (!tenure) return;
    this.#tenure = undefined;
    // A state that is ahead of the journal may not be read any more.
    if (!tenure.leader.idle) this.#serving = undefined;
    tenure.end(this.#closing.signal.aborted ? outcomeUnknown() : leaderChanged());
    this.#standing.resigned();
  }

  // ---- after a commit

  #committed(replica: Replica<M>, group: Group<M, M['soft']>): void {
    const { revision, time, events } = group;
    const { epoch } = replica.epoch;
    const committed = events.length === 0 ? undefined : { revision, time, epoch, events };
    this.#publish(replica, revision, committed, group.bytes);
    this.#tenure?.committed();
    this.#keeper.count(group.bytes);
    this.#keeper.writeWhenDue(replica);
  }

  #publish(replica: Replica<M>, revision: number, committed: Committed<M> | undefined, bytes: number): void {
    this.#history.add(replica, revision, committed, bytes);
    this.#standing.tell();
  }
}
