import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { EventOf } from '../../libs/protocol/machine.ts';
import { PhiDetector, type PhiOptions, type Verdict } from '../../libs/protocol/phi-detector.ts';
import { WakingTime } from '../../libs/protocol/waking-time.ts';
import type { Liveness, Load } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import type { Heard, SwarmRow } from './core/rows.ts';
import type { RegistryShape, RegistrySoft } from './core/state.ts';

export interface MonitorOptions {
  readonly federation: string;
  readonly clock: Clock;
  readonly phi: PhiOptions;
  /** How often the leader looks at its detectors, in milliseconds. Smaller: liveness changes are told sooner. */
  readonly sampleMs: number;
  /** Called when a change could not be told; it is tried again. */
  readonly onError: (error: HiveError) => void;
}

interface Member {
  readonly detector: PhiDetector;
  /** When the last heartbeat arrived, milliseconds since 1970; 0 = none has. */
  at: number;
  load: Load | undefined;
}

const LIVENESS: Readonly<Record<Verdict, Liveness>> = {
  healthy: 'LIVENESS_HEALTHY',
  suspect: 'LIVENESS_SUSPECT',
  unreachable: 'LIVENESS_UNREACHABLE',
};

const RANK: Readonly<Record<Liveness, number>> = {
  LIVENESS_UNSPECIFIED: 0,
  LIVENESS_HEALTHY: 0,
  LIVENESS_SUSPECT: 1,
  LIVENESS_UNREACHABLE: 2,
};

/**
 * One replica's ears in one federation: a failure detector for each swarm, fed by every heartbeat that arrives here.
 * Only where the journal leads do they have a consequence: silence makes a swarm worse, at the next sample; a
 * heartbeat makes it healthy, at once. Either is a command, and only when something changes.
 *
 * Silence is evidence only while we were listening. So it counts from the last moment of: the heartbeat, our own
 * start, becoming the leader, the bus coming back, and waking up after a long sleep; and short pauses of this very process
 * do not count as silence. A new leader or a restarted server thus never declares everybody dead.
 *
 * Members are bounded by the swarms that are registered: nobody else's heartbeat is taken.
 */
export class LivenessMonitor implements RegistrySoft, Disposable {
  readonly #options: MonitorOptions;
  readonly #members = new Map<string, Member>();
  /** Swarms whose change is being told. */
  readonly #telling = new Set<string>();
  readonly #closing = new AbortController();
  #journal: Journal<RegistryShape> | undefined;
  /** In which silence is counted. */
  readonly #time: WakingTime;
  #heardSince: number;
  #led = false;
  #deaf = false;
  #following: Disposable | undefined;
  #timer: Disposable | undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#time = new WakingTime(options.clock, options.sampleMs);
    this.#heardSince = this.#now();
  }

  /** From now on judges the swarms of this journal. */
  follow(journal: Journal<RegistryShape>): void {
    this.#journal = journal;
    this.#following = journal.onCommitted(({ events }) => {
      for (const event of events) this.#onEvent(event);
    });
    this.#sampleLater();
  }

  heard(swarm: string): Heard | undefined {
    const member = this.#members.get(swarm);
    if (!member || member.at === 0) return undefined;
    const phi = member.detector.phi(this.#now(), this.#listeningSince);
    return { at: member.at, load: member.load, phi };
  }

  /** A heartbeat has come that was found to be the swarm's own. */
  beat(row: SwarmRow, load: Load | undefined): void {
    const member = this.#member(row.name);
    member.detector.beat(this.#now());
    member.at = this.#options.clock.now();
    member.load = load ?? member.load;
    if (row.monitored && row.liveness === 'LIVENESS_HEALTHY') return;
    if (this.#journal?.role === 'leader') this.#tell(row, 'LIVENESS_HEALTHY', member);
  }

  /** The bus is gone: until `hearing` nobody is judged. */
  deaf(): void {
    this.#deaf = true;
  }

  hearing(): void {
    this.#deaf = false;
    this.#heardSince = this.#now();
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#timer?.[Symbol.dispose]();
    this.#following?.[Symbol.dispose]();
  }

  #onEvent(event: EventOf<RegistryShape>): void {
    if (event.type === 'swarm.removed') this.#members.delete(event.data.name);
    // Whoever registers is there: silence counts from now.
    if (event.type === 'swarm.registered') this.#members.get(event.data.name)?.detector.beat(this.#now());
  }

  #member(name: string): Member {
    const there = this.#members.get(name);
    if (there) return there;
    const detector = new PhiDetector(this.#listeningSince, this.#options.phi);
    const member: Member = { detector, at: 0, load: undefined };
    this.#members.set(name, member);
    return member;
  }

  #sampleLater(): void {
    this.#timer = this.#options.clock.after(this.#options.sampleMs, () => {
      this.#sample();
      this.#sampleLater();
    });
  }

  #sample(): void {
    const now = this.#now();
    const leads = this.#journal?.role === 'leader';
    if (leads && !this.#led) this.#heardSince = now;
    this.#led = leads;
    if (!leads || this.#deaf || !this.#journal) return;
    const { swarms } = this.#journal.state;
    for (const row of swarms.values()) if (row.monitored) this.#judge(row, now);
    if (this.#members.size > swarms.size) this.#forget(swarms);
  }

  #judge(row: SwarmRow, now: number): void {
    const member = this.#member(row.name);
    const liveness = LIVENESS[member.detector.verdict(now, this.#listeningSince)];
    if (RANK[liveness] > RANK[row.liveness]) this.#tell(row, liveness, member);
  }

  /** A state that was loaded again may hold fewer swarms than were heard. */
  #forget(registered: { has(name: string): boolean }): void {
    for (const name of this.#members.keys()) if (!registered.has(name)) this.#members.delete(name);
  }

  #tell(row: SwarmRow, liveness: Liveness, member: Member): void {
    const { name, revision: swarmRevision } = row;
    if (!this.#journal || this.#telling.has(name)) return;
    this.#telling.add(name);
    const phi = member.detector.phi(this.#now(), this.#listeningSince);
    const seen = { name, swarmRevision, liveness, phi, lastHeartbeatAt: member.at };
    this.#journal
      .execute('observeLiveness', seen, this.#call())
      .catch((error: unknown) => this.#options.onError(HiveError.from(error)))
      .finally(() => this.#telling.delete(name));
  }

  #call(): Call {
    return internalCall(this.#options.federation, 'liveness', this.#closing.signal);
  }

  /** Since when silence counts. */
  get #listeningSince(): number {
    return Math.max(this.#heardSince, this.#time.awakeSince);
  }

  #now(): number {
    return this.#time.now();
  }
}

/** A call of the registry itself. */
export const internalCall = (federation: string, why: string, signal: AbortSignal): Call => ({
  federation,
  principal: { kind: 'service', name: 'registry' },
  token: '',
  trace: { traceparent: '', correlationId: `registry-${why}`, hops: 0 },
  signal,
});
