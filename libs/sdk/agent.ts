import { setMaxListeners } from 'node:events';
import type { Msg, Subscription } from '@nats-io/nats-core';
import { explainOutages } from '../bus/explain-outages.ts';
import { DeniedOnce, notPermitted, permissionViolation } from '../bus/permission.ts';
import { givenUp } from '../bus/refusal.ts';
import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { leftText } from '../protocol/parcel.ts';
import { agentNewsSubject, assignmentSubject, heartbeatSubject } from '../protocol/subjects.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import type { AgentHeartbeat } from '../wire/hivebus/pool/v1/pool.ts';
import { type Agent, type AgentOptions, offerOf } from './agent-options.ts';
import { DeliveryKey } from './delivery-key.ts';
import type { Hive } from './hive.ts';
import { displaced } from './moved.ts';
import { Moving, type Place } from './moving.ts';
import { Pulse } from './pulse.ts';
import { readAssignments } from './read-assignments.ts';
import { unlessAborted, untilSettled } from './retry.ts';
import { nameTaken, standingOf } from './standing.ts';
import { Volumes } from './volumes.ts';
import { Workbench } from './workbench.ts';

/** In doubt about what is ours, the agent asks; and so often without a doubt, in milliseconds. */
const RESYNC_MS = 15_000;
/** How often folders are looked at whose tasks may have ended, in milliseconds. */
const SWEEP_MS = 600_000;
const DEFAULT_ABANDON_MS = 30_000;
const LEAVE_MS = 2000;
/** The longest grace time that the pool takes. */
const MAX_GRACE_MS = 3_600_000;
/** How long a first registration is tried: a pool may be a moment behind the registry, or be starting. */
const START_MS = 15_000;

/** Registers an agent and runs `handler` for each task that it is given. Rejects when the pool refuses it. */
export async function createAgent(options: AgentOptions): Promise<Agent> {
  const hive = await options.hive.as({ kind: 'agent', swarm: options.swarm, name: options.name });
  const { dataFolder, labels = {} } = options;
  const volumes = dataFolder === undefined ? undefined : await Volumes.open(dataFolder, hive.federation);
  const agent = new PoolAgent(hive, { ...options, labels: { ...labels, ...volumes?.labels } }, volumes);
  await agent.start();
  return agent;
}

class PoolAgent implements Agent {
  readonly instance = randomId();
  readonly closed: Promise<HiveError | undefined>;
  readonly #options: AgentOptions;
  readonly #volumes: Volumes | undefined;
  readonly #clock: Clock;
  #place: Place;
  readonly #end = new AbortController();
  /** Aborts when nobody waits for the pool's answers any more. */
  readonly #calls = new AbortController();
  /** The pool has had this agent: what its first registration meets may be a pool that is behind the registry. */
  #wasRegistered = false;
  #leaving = false;
  /** The pool could not be reached when it was last asked, and that was told. */
  #cutOff = false;
  #connected = true;
  readonly #deliveryKey = new DeliveryKey();
  readonly #pulse: Pulse;
  #comparing = false;
  #compareAgain = false;
  readonly #moving: Moving;
  #subscriptions: Subscription[] = [];
  #resolveClosed: (error: HiveError | undefined) => void = () => {};

  constructor(hive: Hive, options: AgentOptions, volumes: Volumes | undefined) {
    this.#options = options;
    this.#volumes = volumes;
    this.#clock = options.clock ?? systemClock;
    this.#pulse = new Pulse(this.#clock);
    this.#place = this.#placeOf(hive, options.swarm, options.name);
    this.#moving = this.#movingOf(options);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    setMaxListeners(0, this.#end.signal, this.#calls.signal); // every call that is tried again listens to them
  }

  get swarm(): string {
    return this.#place.swarm;
  }

  get name(): string {
    return this.#place.name;
  }

  get running(): number {
    return this.#work.size;
  }

  get #hive(): Hive {
    return this.#place.hive;
  }

  get #work(): Workbench {
    return this.#place.work;
  }

  #placeOf(hive: Hive, swarm: string, name: string): Place {
    const { handler, slots = 1, abandonMs = DEFAULT_ABANDON_MS } = this.#options;
    const work = new Workbench({
      ...{ hive, agent: `${swarm}/${name}`, instance: this.instance, slots, handler, abandonMs, clock: this.#clock },
      volumes: this.#volumes,
      connected: () => this.#connected,
      settled: (call) => this.#settled(call),
      isHeard: () => this.#pulse.isHeard,
      tell: (text) => this.#tell(text, 'task'),
    });
    return { hive, swarm, name, work };
  }

  #movingOf(offer: AgentOptions): Moving {
    return new Moving({
      ...{ offer, instance: this.instance, clock: this.#clock, signal: this.#calls.signal },
      settled: (call) => this.#settled(call),
      here: () => this.#place,
      isLeaving: () => this.#leaving,
      placeOf: (hive, swarm, name) => this.#placeOf(hive, swarm, name),
      listen: (place) => this.#listen(place),
      arrived: (place, ears, { deliveryKey }) => {
        this.#deliveryKey.heard(deliveryKey);
        for (const subscription of this.#subscriptions) if (!ears.includes(subscription)) subscription.unsubscribe();
        this.#subscriptions = [...ears];
        this.#place = place;
        this.#wasRegistered = true;
      },
      stayed: (ears) => {
        for (const subscription of ears) subscription.unsubscribe();
        this.#subscriptions = this.#subscriptions.filter((subscription) => !ears.includes(subscription));
      },
      settle: () => void this.#compare(),
      tell: (text) => this.#tell(text),
    });
  }

  async start(): Promise<void> {
    // Listening comes first: an assignment may follow the registration at once.
    this.#listen(this.#place);
    try {
      const registering = this.#register(START_MS);
      this.#pulse.begin(await registering.catch((cause) => this.#moving.follow(HiveError.from(cause))));
      void this.#beat();
      void this.#resync();
      void this.#followConnection();
      void this.#sweep();
      void explainOutages(this.#hive.nc, ({ message }) => this.#tell(message));
    } catch (error) {
      this.#close(undefined);
      throw error;
    }
  }

  async stop(drainMs = 0): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#work.close();
    const told = this.#work.size > 0 ? this.#tellLeaving(drainMs) : undefined;
    this.#work.leave(told);
    if (drainMs > 0) await Promise.race([this.#work.drained(), pause(this.#clock, drainMs, this.#end.signal)]);
    this.#work.stopAll('agent-stopped');
    {
      using _ = this.#clock.after(LEAVE_MS, () => this.#calls.abort());
      await this.#work.drained();
    }
    await told;
    const { swarm, name, instance } = this;
    // Unheard of, the pool finds out by the missing heartbeats.
    await this.#hive.pool.deregisterAgent({ swarm, name, instance }, { timeoutMs: LEAVE_MS }).catch(() => {});
    this.#close(undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /**
   * From now on the pool gives this agent nothing new, and counts no attempt of what it gives back. Its grace time is
   * longer than ours, so that it ends only what we could not.
   */
  async #tellLeaving(drainMs: number): Promise<void> {
    const { swarm, name, instance } = this;
    const { abandonMs = DEFAULT_ABANDON_MS } = this.#options;
    const graceMs = Math.min(drainMs + abandonMs + LEAVE_MS, MAX_GRACE_MS);
    const request = { swarm, name, instance, graceMs, reason: 'it stops' };
    await this.#hive.pool.drainAgent(request, { timeoutMs: drainMs + LEAVE_MS }).catch(() => {});
  }

  /** Takes what the pool sends to this instance in a place, and what is told of the agent there. */
  #listen({ hive, swarm, name, work }: Place): readonly Subscription[] {
    const subscribe = (subject: string, take: (message: Msg) => void) =>
      hive.nc.subscribe(subject, { callback: (error, message) => (error ? undefined : take(message)) });
    const { federation } = hive;
    const made = [
      subscribe(assignmentSubject(federation, swarm, name, this.instance), (message) => this.#delivered(message, work)),
      subscribe(agentNewsSubject(federation, swarm, name), (message) => this.#heardOf(message)),
    ];
    this.#subscriptions.push(...made);
    return made;
  }

  async #register(giveUpMs?: number): Promise<number> {
    const request = offerOf(this.#options, this.swarm, this.name, this.instance);
    const registering = this.#settled(() => this.#hive.pool.registerAgent(request), giveUpMs);
    const { heartbeatMs, move, deliveryKey } = await registering;
    this.#wasRegistered = true;
    this.#deliveryKey.heard(deliveryKey);
    if (move) void this.#moving.go(move);
    return heartbeatMs;
  }

  /**
   * The pool's request, of one assignment or several: the answer says which have arrived, an empty one that all have. An
   * empty request asks whether we are connected. What wants no answer is the event's announcement, made for others.
   */
  #delivered(message: Msg, work: Workbench): void {
    if (!message.reply) return;
    if (message.data.length === 0) return void message.respond();
    const assignments = readAssignments(message, (text) => this.#tell(text));
    const isProven = assignments.some((each) => each?.atOnce) && this.#isProven(message);
    const left = assignments.flatMap((each, i) => (each && work.accept(each, isProven) ? [] : [i]));
    if (left.length < assignments.length) message.respond(leftText(left));
  }

  /** Another leader signs with another key: the pool is asked for it, and of what came meanwhile before it begins. */
  #isProven(message: Msg): boolean {
    const judged = this.#deliveryKey.judge(message);
    if (judged === 'otherwise' && !this.#leaving) void this.#compare();
    return judged === 'proven';
  }

  /** The pool has judged this agent, or has another instance of it: only a hint, which makes it ask what is still its own. */
  #heardOf(message: Msg): void {
    const isOwnRegistration = message.subject.includes('.registered.') && message.string().includes(this.instance);
    if (!isOwnRegistration && !this.#leaving) void this.#compare();
  }

  async #beat(): Promise<void> {
    const { instance } = this;
    while (!this.#end.signal.aborted) {
      const { swarm, name } = this;
      const subject = heartbeatSubject(this.#hive.federation, swarm, name);
      const of = { swarm, agent: name, instance, bySession: false, brokenOff: false };
      const beat: AgentHeartbeat = { ...of, busy: this.running, progress: this.#work.progress };
      this.#hive.publish(subject, 'hivebus.pool.v1.AgentHeartbeat', beat);
      this.#pulse.beat();
      await pause(this.#clock, this.#pulse.intervalMs, this.#end.signal);
    }
  }

  async #resync(): Promise<void> {
    while (!this.#end.signal.aborted) {
      await pause(this.#clock, RESYNC_MS, this.#end.signal);
      if (!this.#end.signal.aborted) await this.#compare();
    }
  }

  /** Folders of tasks that have ended without this agent leave by and by. */
  async #sweep(): Promise<void> {
    while (this.#volumes && !this.#end.signal.aborted) {
      await this.#volumes.sweep(this.#hive.pool).catch((error) => {
        this.#tell(`volumes of ended tasks cannot be removed: ${HiveError.from(error).message}`);
      });
      await pause(this.#clock, SWEEP_MS, this.#end.signal);
    }
  }

  async #followConnection(): Promise<void> {
    // Heartbeats and output are sent unanswered: only so it is known that they never arrive.
    const denied = new DeniedOnce();
    for await (const status of this.#hive.nc.status()) {
      if (this.#end.signal.aborted) return;
      if (status.type === 'disconnect') {
        this.#connected = false;
        this.#lost('the connection to the bus was lost');
      }
      const violation = status.type === 'error' ? permissionViolation(status.error) : undefined;
      if (violation && denied.isNew(violation)) this.#tell(notPermitted(violation).message);
      if (status.type !== 'reconnect') continue;
      denied.forget();
      this.#connected = true;
      void this.#compare();
    }
    const refused = await givenUp(this.#hive.nc); // nothing comes of it when the connection was closed on our side
    if (!this.#leaving) await this.#fail(refused);
  }

  /** Asks what this instance has been given; one question at a time, and once more when there was a reason meanwhile. */
  async #compare(): Promise<void> {
    this.#compareAgain = true;
    if (this.#comparing) return;
    this.#comparing = true;
    while (this.#compareAgain && !this.#end.signal.aborted) {
      this.#compareAgain = false;
      await this.#compareOnce();
    }
    this.#comparing = false;
  }

  /** Takes up what it missed, drops what is no longer its own. */
  async #compareOnce(): Promise<void> {
    const place = this.#place;
    const before = place.work.attempts;
    const { swarm, name, instance } = this;
    const { silences } = this.#pulse;
    try {
      const { assignments, move, drain, deliveryKey } = await this.#settled(() =>
        place.hive.pool.listAssignments({ swarm, agent: name, instance }, { trace: BACKGROUND }),
      );
      this.#deliveryKey.heard(deliveryKey);
      this.#pulse.answered(silences);
      if (this.#hasLeft(place)) return;
      const owed = new Map(assignments.map((each) => [each.task, each.attempt]));
      for (const attempt of before) {
        if (owed.get(attempt.assignment.task) !== attempt.assignment.attempt) attempt.stop('superseded');
      }
      for (const assignment of assignments) this.#work.acceptAnswered(assignment);
      if (drain) this.#work.leave();
      if (move) void this.#moving.go(move);
    } catch (cause) {
      // On its way it may be known there already and here no more; it asks again when it has arrived, or stays.
      if (!this.#hasLeft(place) && !this.#moving.isOn) await this.#disowned(HiveError.from(cause));
    }
  }

  /** What is said of an agent in a place that it has left meanwhile is nothing of its new one: that is asked for then. */
  #hasLeft(place: Place): boolean {
    if (place === this.#place) return false;
    this.#compareAgain = true;
    return true;
  }

  /** The pool does not know this instance: another has taken its place, or the agent was removed. */
  async #disowned(error: HiveError): Promise<void> {
    if (this.#leaving || this.#end.signal.aborted) return;
    if (error.code === 'NOT_FOUND') {
      this.#work.stopAll('superseded');
      this.#tell('the pool does not know this agent any more: registering again');
      const registering = this.#register().catch((cause) => this.#moving.follow(HiveError.from(cause)));
      await registering.catch((cause) => this.#fail(HiveError.from(cause)));
    } else if (error.code === 'ABORTED') await this.#fail(displaced(this.swarm, this.name, error));
    else if (error.code === 'PERMISSION_DENIED') await this.#fail(error);
    else this.#tell(`cannot ask for assignments: ${error.message}`);
  }

  async #fail(error: HiveError): Promise<void> {
    this.#leaving = true;
    this.#work.close();
    this.#work.stopAll('superseded');
    this.#calls.abort();
    await this.#work.drained();
    this.#close(error);
  }

  #close(error: HiveError | undefined): void {
    this.#end.abort();
    this.#calls.abort();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#resolveClosed(error);
  }

  async #settled<T>(call: () => Promise<T>, giveUpMs?: number): Promise<T> {
    const { signal } = this.#calls;
    const onRetry = (error: HiveError) => this.#lost(error.message);
    const judged = () => call().catch((cause) => this.#judge(HiveError.from(cause)));
    const answering = untilSettled(judged, { clock: this.#clock, giveUpMs, signal, onRetry });
    const answer = await unlessAborted(answering, signal);
    this.#back();
    return answer;
  }

  /** Rejects with the refusal, after what follows from it for an agent whose swarm is gone, or another's. */
  async #judge(refusal: HiveError): Promise<never> {
    const standing = this.#wasRegistered ? await standingOf(this.#hive, this.swarm, refusal) : 'kept';
    if (standing === 'kept' || this.#end.signal.aborted) throw refusal;
    if (standing === 'taken') {
      if (!this.#leaving) void this.#fail(nameTaken(this.swarm, this.name, refusal));
      throw refusal;
    }
    if (this.#work.goingOn > 0) this.#tell(`swarm ${this.swarm} is not registered any more: what runs here is ended`);
    this.#work.stopAll('superseded');
    throw refusal;
  }

  /** Told once, however many calls find it out. */
  #lost(why: string): void {
    if (this.#cutOff || this.#leaving) return;
    this.#cutOff = true;
    this.#tell(`${why}; trying again${this.#work.goingOn > 0 ? ', what runs here goes on' : ''}`);
  }

  #back(): void {
    if (this.#cutOff) this.#tell('the pool answers again');
    this.#cutOff = false;
  }

  #tell(text: string, about: 'task' | 'agent' = 'agent'): void {
    this.#options.onEvent?.(text, about);
  }
}
