import { setMaxListeners } from 'node:events';
import type { Msg, Subscription } from '@nats-io/nats-core';
import { givenUp } from '../bus/refusal.ts';
import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { agentNewsSubject, assignmentSubject, heartbeatSubject } from '../protocol/subjects.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import { responseSchema } from '../rpc/schema.ts';
import type { AgentHeartbeat, Assignment, RegisterAgentRequest } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';
import { unlessAborted, untilSettled } from './retry.ts';
import { nameTaken, standingOf } from './standing.ts';
import type { TaskHandler } from './task.ts';
import { Workbench } from './workbench.ts';

export interface AgentOptions {
  /** A connection whose home has the swarm's key; or a Swarm, see createSwarm. */
  readonly hive: Hive;
  readonly swarm: string;
  /** Unique in the swarm. */
  readonly name: string;
  readonly type: string;
  readonly capabilities?: readonly string[];
  /** How many tasks at once; default 1. */
  readonly slots?: number;
  readonly allowScripts?: boolean;
  readonly region?: string;
  readonly priority?: number;
  /** What tasks may ask for by key and value. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly specialisations?: readonly string[];
  /** What a task costs, in whatever unit the federation counts; cheaper is preferred. */
  readonly cost?: number;
  readonly handler: TaskHandler;
  /** How long a handler may go on after its signal has aborted, before it is left behind, in milliseconds. */
  readonly abandonMs?: number;
  /** What happens, in words, for a log: to single tasks, or to the agent, as when the pool cannot be reached. */
  readonly onEvent?: (text: string, about: 'task' | 'agent') => void;
  readonly clock?: Clock;
}

export interface Agent extends AsyncDisposable {
  readonly swarm: string;
  readonly name: string;
  /** Names this run of the agent. */
  readonly instance: string;
  /** How many attempts run now. */
  readonly running: number;
  /** Resolves when the agent has ended: with the reason when it did not end by `stop`. */
  readonly closed: Promise<HiveError | undefined>;
  /** Takes nothing new, gives what runs `drainMs` (default 0) to finish, gives back the rest, and leaves the pool. */
  stop(drainMs?: number): Promise<void>;
}

/** In doubt about what is ours, the agent asks; and so often without a doubt, in milliseconds. */
const RESYNC_MS = 15_000;
const DEFAULT_ABANDON_MS = 30_000;
const LEAVE_MS = 2000;
/** The longest grace time that the pool takes. */
const MAX_GRACE_MS = 3_600_000;
/** How long a first registration is tried: a pool may be a moment behind the registry, or be starting. */
const START_MS = 15_000;

const ASSIGNMENT = responseSchema('hivebus.pool.v1.Assignment');

/** Registers an agent and runs `handler` for each task that it is given. Rejects when the pool refuses it. */
export async function createAgent(options: AgentOptions): Promise<Agent> {
  const hive = await options.hive.as({ kind: 'agent', swarm: options.swarm, name: options.name });
  const agent = new PoolAgent(hive, options);
  await agent.start();
  return agent;
}

class PoolAgent implements Agent {
  readonly swarm: string;
  readonly name: string;
  readonly instance = randomId();
  readonly closed: Promise<HiveError | undefined>;
  readonly #hive: Hive;
  readonly #options: AgentOptions;
  readonly #clock: Clock;
  readonly #work: Workbench;
  readonly #end = new AbortController();
  /** Aborts when nobody waits for the pool's answers any more. */
  readonly #calls = new AbortController();
  /** The pool has had this agent: what its first registration meets may be a pool that is behind the registry. */
  #wasRegistered = false;
  #leaving = false;
  /** The pool could not be reached when it was last asked, and that was told. */
  #cutOff = false;
  #connected = true;
  #comparing = false;
  #compareAgain = false;
  #subscriptions: Subscription[] = [];
  #resolveClosed: (error: HiveError | undefined) => void = () => {};

  constructor(hive: Hive, options: AgentOptions) {
    const { swarm, name, handler, slots = 1, abandonMs = DEFAULT_ABANDON_MS, clock = systemClock } = options;
    this.swarm = swarm;
    this.name = name;
    this.#hive = hive;
    this.#options = options;
    this.#clock = clock;
    this.#work = new Workbench({
      ...{ hive, agent: `${swarm}/${name}`, instance: this.instance, slots, handler, abandonMs, clock },
      connected: () => this.#connected,
      settled: (call) => this.#settled(call),
      tell: (text) => this.#tell(text, 'task'),
    });
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    setMaxListeners(0, this.#end.signal, this.#calls.signal); // every call that is tried again listens to them
  }

  get running(): number {
    return this.#work.size;
  }

  async start(): Promise<void> {
    const { federation } = this.#hive;
    const { swarm, name, instance } = this;
    // Listening comes first: an assignment may follow the registration at once.
    this.#listen(assignmentSubject(federation, swarm, name, instance), (message) => this.#delivered(message));
    try {
      const heartbeatMs = await this.#register(START_MS);
      this.#listen(agentNewsSubject(federation, swarm, name), (message) => this.#heardOf(message));
      void this.#beat(heartbeatMs);
      void this.#resync();
      void this.#followConnection();
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

  #listen(subject: string, take: (message: Msg) => void): void {
    const callback = (error: Error | null, message: Msg) => (error ? undefined : take(message));
    this.#subscriptions.push(this.#hive.nc.subscribe(subject, { callback }));
  }

  async #register(giveUpMs?: number): Promise<number> {
    const { type, capabilities = [], slots = 1, allowScripts = false, region = '', priority = 0 } = this.#options;
    const { labels = {}, specialisations = [], cost = 0 } = this.#options;
    const { swarm, name, instance } = this;
    const request: RegisterAgentRequest = {
      ...{ swarm, name, type, slots, instance, allowScripts, region, priority, cost },
      capabilities: [...capabilities],
      labels: { ...labels },
      specialisations: [...specialisations],
    };
    const { heartbeatMs } = await this.#settled(() => this.#hive.pool.registerAgent(request), giveUpMs);
    this.#wasRegistered = true;
    return heartbeatMs;
  }

  /**
   * The pool's request: an answer, even an empty one, says that the assignment has arrived. An empty request asks
   * whether we are connected. What wants no answer is the event's announcement, made for others.
   */
  #delivered(message: Msg): void {
    if (!message.reply) return;
    const assignment = message.data.length === 0 ? undefined : this.#read(message);
    if (message.data.length === 0 || (assignment && this.#work.accept(assignment))) message.respond();
  }

  /** The pool has judged this agent, or has another instance of it: only a hint, which makes it ask what is still its own. */
  #heardOf(message: Msg): void {
    const isOwnRegistration = message.subject.includes('.registered.') && message.string().includes(this.instance);
    if (!isOwnRegistration && !this.#leaving) void this.#compare();
  }

  #read(message: Msg): Assignment | undefined {
    try {
      const assignment = ASSIGNMENT.decode(message.data) as Assignment;
      if (assignment.spec || assignment.cancel) return assignment;
      this.#tell(`an assignment of task ${assignment.task} that says not what to do`);
    } catch (error) {
      this.#tell(`an assignment that cannot be read: ${HiveError.from(error).message}`);
    }
    return undefined;
  }

  async #beat(heartbeatMs: number): Promise<void> {
    const { swarm, name, instance } = this;
    const subject = heartbeatSubject(this.#hive.federation, swarm, name);
    while (!this.#end.signal.aborted) {
      const beat: AgentHeartbeat = { swarm, agent: name, instance, busy: this.running };
      this.#hive.publish(subject, 'hivebus.pool.v1.AgentHeartbeat', beat);
      await pause(this.#clock, heartbeatMs, this.#end.signal);
    }
  }

  async #resync(): Promise<void> {
    while (!this.#end.signal.aborted) {
      await pause(this.#clock, RESYNC_MS, this.#end.signal);
      if (!this.#end.signal.aborted) await this.#compare();
    }
  }

  async #followConnection(): Promise<void> {
    for await (const status of this.#hive.nc.status()) {
      if (this.#end.signal.aborted) return;
      if (status.type === 'disconnect') {
        this.#connected = false;
        this.#lost('the connection to the bus was lost');
      }
      if (status.type !== 'reconnect') continue;
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
    const before = this.#work.attempts;
    const { swarm, name, instance } = this;
    try {
      const { assignments } = await this.#settled(() =>
        this.#hive.pool.listAssignments({ swarm, agent: name, instance }, { trace: BACKGROUND }),
      );
      const owed = new Map(assignments.map((each) => [each.task, each.attempt]));
      for (const attempt of before) {
        if (owed.get(attempt.assignment.task) !== attempt.assignment.attempt) attempt.stop('superseded');
      }
      for (const assignment of assignments) this.#work.acceptAnswered(assignment);
    } catch (cause) {
      await this.#disowned(HiveError.from(cause));
    }
  }

  /** The pool does not know this instance: another has taken its place, or the agent was removed. */
  async #disowned(error: HiveError): Promise<void> {
    if (this.#leaving || this.#end.signal.aborted) return;
    if (error.code === 'NOT_FOUND') {
      this.#work.stopAll('superseded');
      this.#tell('the pool does not know this agent any more: registering again');
      await this.#register().catch((cause) => this.#fail(HiveError.from(cause)));
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

function displaced(swarm: string, name: string, cause: HiveError): HiveError {
  const message = `another instance took the place of agent ${swarm}/${name}: only one can have the name`;
  return new HiveError('ABORTED', message, { cause, retryable: false, reason: 'DISPLACED' });
}
