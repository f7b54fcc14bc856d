import { setMaxListeners } from 'node:events';
import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { EventOf } from '../../libs/protocol/machine.ts';
import { PhiDetector, type PhiOptions, type Verdict } from '../../libs/protocol/phi-detector.ts';
import { WakingTime } from '../../libs/protocol/waking-time.ts';
import type { AgentState } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { AgentLine } from './agent-line.ts';
import { Connections } from './connections.ts';
import type { AgentRow } from './core/rows.ts';
import type { PoolShape } from './core/state.ts';
import { internalCall } from './internal-call.ts';

export interface LivenessOptions {
  readonly line: Pick<AgentLine, 'probe'>;
  readonly clock: Clock;
  /** `expectedIntervalMs` is how often agents are told to beat. */
  readonly phi: PhiOptions;
  /** How often the leader looks at its agents, in milliseconds. */
  readonly sampleMs: number;
  /** How often an agent with tasks is asked whether it is still connected, in milliseconds. */
  readonly probeBusyMs: number;
  /** After the bus came back, agents get so long, in milliseconds, to come back as well. */
  readonly settleMs: number;
  /** Called when a change could not be told; it is tried again. */
  readonly onError: (error: HiveError) => void;
}

interface Member {
  instance: string;
  detector: PhiDetector;
  /** A replica beats for it: when nobody listens for it any more, that one may be gone, and the agent on its way to another. */
  bySession: boolean;
  /** Of its last heartbeat, by the wall clock. */
  heardAt: number | undefined;
}

const STATES: Readonly<Record<Verdict, AgentState>> = {
  healthy: 'AGENT_STATE_READY',
  suspect: 'AGENT_STATE_SUSPECT',
  unreachable: 'AGENT_STATE_UNREACHABLE',
};
/** Silence of so many intervals is worth a question, and a look at the detector. */
const LATE_INTERVALS = 1.5;

/**
 * Who is still there. Every replica hears the heartbeats; where the journal leads, they have consequences:
 *
 * - A closed connection is noticed by asking (`connections.ts`): an agent with tasks ten times a second, so that its work
 *   moves on in a quarter of one; any other when its heartbeat is late.
 * - A process that is stopped keeps its connection. Its silence is judged by a phi-accrual detector: suspect, then
 *   unreachable.
 * - A heartbeat of the same instance makes it ready again, at once.
 *
 * Silence counts only while we were listening: not before this replica led, nor while the bus or this process slept
 * (`WakingTime`).
 */
export class Liveness implements Disposable {
  readonly #options: LivenessOptions;
  readonly #members = new Map<string, Member>();
  /** Agents of whom something is being told. */
  readonly #telling = new Set<string>();
  readonly #closing = new AbortController();
  readonly #connections: Connections;
  #journal: Journal<PoolShape> | undefined;
  #following: Disposable | undefined;
  #timer: Disposable | undefined;
  /** In which silence is counted. */
  readonly #time: WakingTime;
  #heardSince: number;
  #led = false;
  #deaf = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#time = new WakingTime(options.clock, options.sampleMs);
    this.#heardSince = this.#now();
    setMaxListeners(0, this.#closing.signal); // all questions that are under way listen to it
    const { line, clock, probeBusyMs: everyMs, settleMs } = options;
    const instanceOf = (agent: string) => this.#askedInstance(agent);
    const mayReturn = (agent: string) => this.#members.get(agent)?.bySession ?? false;
    const onClosed = (agent: string, instance: string) =>
      this.#tell(agent, instance, 'AGENT_STATE_UNREACHABLE', 'its connection is closed');
    const asking = { line, clock, everyMs, settleMs, instanceOf, mayReturn, onClosed };
    this.#connections = new Connections(asking, this.#closing.signal);
  }

  /** From now on judges the agents of this journal. */
  follow(journal: Journal<PoolShape>): void {
    this.#journal = journal;
    this.#following = journal.onCommitted(({ events }) => {
      for (const event of events) this.#onEvent(event);
    });
    this.#sampleLater();
  }

  /** A heartbeat of the agent's current instance has come; `bySession`: sent by the replica that serves its session. */
  beat(row: AgentRow, bySession = false): void {
    const member = this.#member(row);
    member.bySession = bySession;
    member.detector.beat(this.#now());
    member.heardAt = this.#options.clock.now();
    this.#connections.heard(row.key);
    if (row.state === 'AGENT_STATE_READY' || !this.#leads()) return;
    this.#tell(row.key, row.instance, 'AGENT_STATE_READY', 'its heartbeats are back');
  }

  /** When an agent's instance last beat, in milliseconds since 1970; undefined when it was not heard here. */
  heardAt(agent: string, instance: string): number | undefined {
    const member = this.#members.get(agent);
    return member?.instance === instance ? member.heardAt : undefined;
  }

  /** The bus is gone: until `hearing` nobody is judged. */
  deaf(): void {
    this.#deaf = true;
    this.#connections.deaf();
  }

  hearing(): void {
    this.#deaf = false;
    this.#heardSince = this.#now();
    this.#connections.hearing();
  }

  /** The agent's current instance has broken off its session: unless it has another, it is gone. */
  brokeOff(row: AgentRow): void {
    this.#member(row).bySession = false;
    if (this.#leads()) this.lostConnection(row.key, row.instance);
  }

  /** Nobody listens for the instance: asks once more, and tells the pool if that is so. */
  lostConnection(agent: string, instance: string): void {
    void this.#connections.doubt(agent, instance);
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#connections[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
    this.#following?.[Symbol.dispose]();
  }

  #onEvent(event: EventOf<PoolShape>): void {
    if (event.type === 'task.assigned' && this.#leads()) this.#connections.watch(event.data.agent);
    if (event.type === 'agent.removed') this.#members.delete(event.data.agent);
    if (event.type === 'agent.migrated') this.#members.delete(event.data.from);
    if (event.type === 'agent.registered') {
      const key = `${event.data.agent?.swarm}/${event.data.agent?.name}`;
      this.#members.delete(key);
      if (this.#leads()) this.#connections.heard(key);
    }
  }

  /** Another instance is another process, with a rhythm of its own; silence counts from now. */
  #member({ key, instance }: AgentRow): Member {
    const there = this.#members.get(key);
    if (there?.instance === instance) return there;
    const member = {
      instance,
      detector: new PhiDetector(this.#now(), this.#options.phi),
      bySession: false,
      heardAt: undefined,
    };
    this.#members.set(key, member);
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
    const leads = this.#leads();
    if (leads && !this.#led) this.#heardSince = now;
    this.#led = leads;
    if (!leads || this.#deaf || !this.#journal) return;
    const { state } = this.#journal;
    for (const row of state.agents.values()) {
      if (row.state !== 'AGENT_STATE_UNREACHABLE') this.#look(row, now);
    }
    if (this.#members.size > state.agents.size) this.#forget(state.agents);
  }

  #look(row: AgentRow, now: number): void {
    if (this.#isBusy(row)) this.#connections.watch(row.key);
    const silentMs = this.#silentMs(row, now);
    if (silentMs < this.#lateMs) return;
    this.#connections.watch(row.key);
    const { detector } = this.#member(row);
    const seen = STATES[detector.verdict(now, this.#listeningSince)];
    if (seen === 'AGENT_STATE_READY' || seen === row.state) return;
    const suspicion = detector.phi(now, this.#listeningSince).toFixed(1);
    this.#tell(row.key, row.instance, seen, `silent for ${Math.round(silentMs)} ms, phi ${suspicion}`);
  }

  /** Whom of an agent to ask for: it has tasks, or is late. */
  #askedInstance(agent: string): string | undefined {
    const row = this.#leads() ? this.#journal?.state.agents.get(agent) : undefined;
    if (!row || row.state === 'AGENT_STATE_UNREACHABLE') return undefined;
    return this.#isBusy(row) || this.#silentMs(row, this.#now()) >= this.#lateMs ? row.instance : undefined;
  }

  #isBusy({ key }: AgentRow): boolean {
    return (this.#journal?.state.workers.get(key)?.busy ?? 0) > 0;
  }

  #silentMs(row: AgentRow, now: number): number {
    return now - Math.max(this.#member(row).detector.lastMs, this.#listeningSince);
  }

  get #listeningSince(): number {
    return Math.max(this.#heardSince, this.#time.awakeSince);
  }

  get #lateMs(): number {
    return LATE_INTERVALS * this.#options.phi.expectedIntervalMs;
  }

  /** A state that was loaded again may hold fewer agents than were heard. */
  #forget(registered: { has(key: string): boolean }): void {
    for (const key of this.#members.keys()) if (!registered.has(key)) this.#members.delete(key);
  }

  #tell(agent: string, instance: string, state: AgentState, reason: string): void {
    if (!this.#journal || !this.#leads() || this.#telling.has(agent)) return;
    this.#telling.add(agent);
    const call = internalCall(this.#journal.federation, 'liveness', this.#closing.signal);
    this.#journal
      .execute('observeAgent', { agent, instance, state, reason }, call)
      .catch((error: unknown) => this.#options.onError(HiveError.from(error)))
      .finally(() => this.#telling.delete(agent));
  }

  #leads(): boolean {
    return this.#journal?.role === 'leader';
  }

  #now(): number {
    return this.#time.now();
  }
}
