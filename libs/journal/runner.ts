import { setMaxListeners } from 'node:events';
import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import type { Call } from '../protocol/call.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { type AskingDeps, answerForwarded, ask } from './asking.ts';
import { campaign } from './campaign.ts';
import { Changes } from './changes.ts';
import { Effects, type Perform } from './effects.ts';
import type { Group } from './group.ts';
import { Intake } from './intake.ts';
import type { Committed, Journal, QueryOptions, Role } from './journal.ts';
import { Leader, leaderChanged, outcomeUnknown } from './leader.ts';
import type { Announcer, Entry, Envelope, LeaderLine, Log, Observer, Sabotage, SnapshotStore } from './ports.ts';
import { Recent } from './recent.ts';
import type { EpochMark, Replica } from './replica.ts';
import type { JournalSettings } from './settings.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';
import { load } from './snapshots.ts';
import { standby } from './standby.ts';
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

/** How often a leader says which epoch it leads, in ms: one that slept through a takeover hears of it so. */
const BEAT_MS = 1000;

/** What a load finds when stream and snapshots do not fit. */
const MISFITS: ReadonlySet<string> = new Set(['STREAM_BEHIND_SNAPSHOT', 'NO_SNAPSHOT']);

/** A leader that was cut off steps down after 10 s without the others. */
const STALE_LEADER_MS = 20_000;

/** How long a closing leader waits for the record in flight. */
const DRAIN_MS = 5000;

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
  readonly #recent: Recent<M>;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(committed: Committed<M>) => void>();
  #role: Role = 'starting';
  #failure: HiveError | undefined;
  #leaderKnown = false;
  /** Why the last campaign came to nothing, when it was not another who won. */
  #obstacle: HiveError | undefined;
  /** Since when stream and snapshots do not seem to fit, by the monotonic clock. */
  #misfitSince: number | undefined;
  /** What keeps it from the journal. */
  #unreached: string | undefined;
  /** Committed state that may be read; undefined while none is loaded, or what is loaded is behind what was told. */
  #serving: Replica<M> | undefined;
  #leader: Leader<M> | undefined;
  #effects: Effects | undefined;
  readonly #changes = new Changes();
  readonly #intake: Intake;
  readonly #keeper: SnapshotKeeper;
  readonly #asking: AskingDeps<M>;
  #running: Promise<void> | undefined;
  /** Epochs of the committed state, also while it is being loaded again. */
  #marks: readonly EpochMark[] = [];

  constructor(deps: RunnerDeps<M>) {
    this.#deps = deps;
    this.#recent = new Recent(deps.settings.recentRecords, deps.settings.recentBytes);
    this.#intake = new Intake(deps);
    this.#keeper = new SnapshotKeeper(deps);
    this.#asking = {
      ...{ line: deps.line, clock: deps.clock, forwardMs: deps.settings.forwardMs },
      leader: () => this.#leader,
      change: (signal) => this.#changes.next(signal),
      leads: (signal) => this.#until(() => this.#leader !== undefined, signal),
      check: () => {
        if (this.#failure) throw this.#failure;
      },
      obstacle: () => this.#obstacle,
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
    return this.#role;
  }

  get revision(): number {
    return this.#recent.revision;
  }

  get state(): M['state'] {
    if (!this.#serving) throw this.#failure ?? notReady(this.#deps.machine.service);
    return this.#serving.state;
  }

  /** Why it has stopped for good; undefined while it has not. */
  get failure(): HiveError | undefined {
    return this.#failure;
  }

  async ready(signal?: AbortSignal): Promise<void> {
    await this.#until(() => this.#role === 'leader' || (this.#role === 'standby' && this.#leaderKnown), signal);
  }

  execute<N extends keyof M['commands'] & string>(
    name: N,
    input: M['commands'][N]['input'],
    call: Call,
  ): Promise<M['commands'][N]['reply']> {
    if (call.principal.kind === 'anonymous') return Promise.reject(anonymous(name));
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
    const atLeast = options.minRevision ?? 0;
    if (!this.#serving || this.revision < atLeast) {
      await this.#until(() => this.#serving !== undefined, call.signal);
      await this.#recent.past(atLeast - 1, call.signal);
      if (this.revision < atLeast) throw tooEarly(atLeast, this.revision);
    }
    return this.#read(name, input);
  }

  async *watch(from: number, signal: AbortSignal, until?: number): AsyncGenerator<Committed<M>> {
    const over = AbortSignal.any([signal, this.#closing.signal]);
    await this.#until(() => this.#serving !== undefined, over);
    const { machine, log } = this.#deps;
    const marks = () => this.#marks;
    const isSkipped = (seq: number) =>
      this.#intake.passesOver(seq) || (this.#serving?.skipped.has(String(seq)) ?? false);
    yield* watch({ machine, log, recent: this.#recent, marks, isSkipped }, from, over, until);
  }

  async before(time: number, signal: AbortSignal): Promise<{ revision: number; compacted: boolean }> {
    await this.#until(() => this.#serving !== undefined, signal);
    const { log } = this.#deps;
    const { first, last } = await log.bounds();
    const found = await log.firstSince(time, last + 1);
    // The first record of all begins an epoch and holds no events: nothing is missed by beginning after it.
    return { revision: Math.max(1, found - 1), compacted: found === first && first > 1 };
  }

  onCommitted(listener: (committed: Committed<M>) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#running;
    await this.#keeper.idle();
  }

  #read<N extends keyof M['queries'] & string>(name: N, input: unknown): Promise<M['queries'][N]['reply']> {
    return new Promise((resolve, reject) => {
      const read = () => {
        try {
          const replica = this.#serving;
          if (!replica) throw this.#failure ?? notReady(this.#deps.machine.service);
          const now = Math.max(replica.time, this.#deps.clock.now());
          const epochStart = replica.epoch.time;
          const view = { now, revision: this.revision, epochStart, soft: this.#deps.soft };
          resolve(this.#deps.machine.queries[name](replica.state, input as never, view));
        } catch (error) {
          reject(HiveError.from(error));
        }
      };
      if (this.#leader) this.#leader.whenCommitted(read);
      else read();
    });
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
          this.#cannotReach(error);
          await pause(this.#deps.clock, 100, this.#closing.signal);
          continue;
        }
        replica = undefined;
        const fatal = (error.code === 'DATA_LOSS' || error.code === 'INTERNAL') && !this.#mayBeStale(error);
        if (fatal && !(await this.#intake.maySkip())) return this.#stop(error);
        this.#deps.observer.count('reload');
        this.#deps.observer.log('warn', 'the journal is loaded again', { why: error.message });
        await pause(this.#deps.clock, 100, this.#closing.signal);
      }
    }
    this.#serving = undefined;
    this.#become('stopped');
  }

  /**
   * Stream and snapshots have leaders of their own on a cluster. One that was cut off answers from what it had, so that
   * they may seem not to fit: that counts when it lasts longer than such a leader.
   */
  #mayBeStale({ reason }: HiveError): boolean {
    const { clock, settings } = this.#deps;
    if (settings.replicas === 1 || !MISFITS.has(reason ?? '')) return false;
    this.#misfitSince ??= clock.monotonic();
    return clock.monotonic() - this.#misfitSince < STALE_LEADER_MS;
  }

  #stop(error: HiveError): void {
    this.#deps.observer.log('error', error.message);
    this.#failure = error;
    this.#serving = undefined;
    this.#become('stopped');
  }

  async #load(): Promise<Replica<M>> {
    const { machine, incarnation, snapshots, log, observer } = this.#deps;
    this.#serving = undefined;
    this.#become('starting');
    const replica = await load(machine, incarnation, snapshots, log, observer);
    const { last } = await log.bounds();
    if (last < replica.seq) {
      throw new HiveError(
        'DATA_LOSS',
        `the journal of ${machine.service} ends at record ${last}, before its own snapshot of record ${replica.seq}: ` +
          'restore the stream from a backup, or remove the stream and its snapshots to begin anew',
        { reason: 'STREAM_BEHIND_SNAPSHOT' },
      );
    }
    this.#misfitSince = undefined;
    this.#recent.reset(replica.seq);
    this.#note(replica);
    this.#keeper.reset();
    return replica;
  }

  /** Follows until it is time to campaign (true), or until it is closed (false). */
  #standby(replica: Replica<M>): Promise<boolean> {
    const deps = {
      ...this.#deps,
      changes: this.#changes,
      seq: () => replica.seq,
      epoch: () => replica.epoch.epoch,
      take: (entry: Entry) => {
        const committed = this.#intake.take(replica, entry);
        this.#keeper.count(entry.body.length);
        this.#publish(replica, entry.seq, committed, entry.body.length);
      },
      caughtUp: () => {
        this.#unreached = undefined;
        this.#serving = replica;
        this.#become('standby');
      },
      leaderHeard: (alive: boolean) => {
        this.#leaderKnown = alive;
        if (alive) this.#obstacle = undefined;
        this.#changes.tell();
      },
    };
    return standby(deps, this.revision, this.#closing.signal);
  }

  /** Campaigns, and leads when it wins. Listens before it writes, so that nobody else campaigns meanwhile. */
  async #candidate(replica: Replica<M>): Promise<'ahead' | 'clean'> {
    const { line, clock, rng } = this.#deps;
    let epoch = Number.POSITIVE_INFINITY;
    const tenure = new AbortController();
    const listening = line.listen(
      (forwarded) => answerForwarded(this.#asking, this.#deps, forwarded, this.#closing.signal),
      (heard) => heard > epoch && this.#leader?.verify(),
    );
    try {
      const outcome = await campaign(this.#deps, replica);
      this.#hinder('obstacle' in outcome ? outcome.obstacle : undefined);
      if (!('won' in outcome)) {
        const backoffMs = this.#obstacle ? 500 : 5;
        await pause(clock, backoffMs + Math.floor(rng() * 20), this.#closing.signal);
        return 'clean';
      }
      const envelope = outcome.won;
      epoch = envelope.epoch;
      this.#publish(replica, replica.seq, undefined, 0);
      return await new Promise((resolve) => {
        this.#lead(replica, envelope, tenure.signal, resolve);
      });
    } finally {
      tenure.abort();
      listening[Symbol.dispose]();
      this.#resign();
    }
  }

  /** Says what is in the way; the same again is no news. */
  #cannotReach({ message }: HiveError): void {
    if (message !== this.#unreached) {
      this.#deps.observer.log('warn', 'the journal cannot be reached', { why: message });
    }
    this.#unreached = message;
  }

  #hinder(obstacle: HiveError | undefined): void {
    const news = obstacle && obstacle.message !== this.#obstacle?.message;
    if (news) this.#deps.observer.log('warn', 'cannot begin to lead', { why: obstacle.message });
    this.#obstacle = obstacle;
  }

  #lead(
    replica: Replica<M>,
    { writer, epoch }: Envelope,
    tenure: AbortSignal,
    over: (state: 'ahead' | 'clean') => void,
  ): void {
    const { observer, sabotage, clock } = this.#deps;
    let counter = 0;
    const deps = {
      ...this.#deps,
      envelope: (): Envelope => ({ id: `${writer}.${++counter}`, kind: 'group', epoch, writer }),
      committed: (group: Group<M, M['soft']>) => this.#committed(replica, group),
      deposed: (ahead: boolean) => over(ahead ? 'ahead' : 'clean'),
    };
    const leader = new Leader<M>(replica, deps, sabotage);
    this.#leader = leader;
    this.#serving = replica;
    this.#effects = this.#startEffects(replica, leader, epoch);
    observer.count('takeover');
    observer.log('info', `leads the journal of ${this.#deps.machine.service}`, { epoch, revision: replica.seq });
    this.#become('leader');
    const beat = () => {
      if (tenure.aborted) return;
      this.#deps.line.beat(epoch);
      clock.after(BEAT_MS, beat);
    };
    beat();
    const drain = () => void Promise.race([leader.drained(), pause(clock, DRAIN_MS)]).then(() => over('clean'));
    if (this.#closing.signal.aborted) drain();
    else this.#closing.signal.addEventListener('abort', drain, { signal: tenure });
  }

  #resign(): void {
    const leader = this.#leader;
    if (!leader) return;
    this.#leader = undefined;
    this.#effects?.end();
    this.#effects = undefined;
    this.#leaderKnown = false;
    // A state that is ahead of the journal may not be read any more.
    if (!leader.idle) this.#serving = undefined;
    leader.end(this.#closing.signal.aborted ? outcomeUnknown() : leaderChanged());
    this.#become('standby');
  }

  #startEffects(replica: Replica<M>, leader: Leader<M>, epoch: number): Effects | undefined {
    const { machine, perform, clock, rng, settings, observer } = this.#deps;
    if (!machine.effects || !perform) return undefined;
    const { maxEffects } = settings;
    const now = () => leader.now();
    return new Effects({
      table: machine.effects(replica.state),
      perform,
      epoch,
      now,
      clock,
      rng,
      maxEffects,
      observer,
    });
  }

  // ---- after a commit

  #committed(replica: Replica<M>, group: Group<M, M['soft']>): void {
    const { revision, time, events } = group;
    const { epoch } = replica.epoch;
    const committed = events.length === 0 ? undefined : { revision, time, epoch, events };
    this.#publish(replica, revision, committed, group.bytes);
    this.#effects?.committed();
    this.#keeper.count(group.bytes);
    this.#keeper.writeWhenDue(replica);
  }

  /** Keeps the newest epochs: a replica that is loaded again comes by older ones, and watchers go on meanwhile. */
  #note({ epoch, marks }: Replica<M>): void {
    if (epoch.seq >= (this.#marks.at(-1)?.seq ?? 0)) this.#marks = marks;
  }

  #publish(replica: Replica<M>, revision: number, committed: Committed<M> | undefined, bytes: number): void {
    this.#note(replica);
    const news = this.#recent.add(revision, committed, bytes);
    if (news && committed) for (const listener of this.#listeners) listener(committed);
    this.#changes.tell();
  }

  // ---- waiting for a change of role or revision

  #become(role: Role): void {
    this.#role = role;
    this.#changes.tell();
  }

  async #until(condition: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      if (signal?.aborted || this.#role === 'stopped') throw notReady(this.#deps.machine.service);
      await this.#changes.next(signal);
    }
  }
}

/** Refused before it is decided: who is nobody shall not make a leader write records. */
const anonymous = (command: string): HiveError =>
  new HiveError('UNAUTHENTICATED', `${command} needs a token: say who you are with \`authorization: Bearer <jwt>\``, {
    reason: 'TOKEN_MISSING',
  });

const notReady = (service: string): HiveError =>
  new HiveError('UNAVAILABLE', `${service} is still loading its journal; try again`, { reason: 'NOT_READY' });

const tooEarly = (wanted: number, known: number): HiveError =>
  new HiveError('DEADLINE_EXCEEDED', `revision ${wanted} was not reached in time; this replica knows ${known}`, {
    retryable: true,
  });
