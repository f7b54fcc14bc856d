import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { merged } from '../kernel/merged.ts';
import { discoverySubject, heartbeatSubject } from '../protocol/subjects.ts';
import type { RequestAgentRequest, Task, TaskSpec } from '../wire/hivebus/pool/v1/pool.ts';
import type { Capability, HeartbeatRequest, Load, RegisterSwarmRequest } from '../wire/hivebus/registry/v1/registry.ts';
import { createAgent } from './agent.ts';
import type { Agent, AgentOptions } from './agent-options.ts';
import { type Delegated, delegatedHere, withoutTask } from './delegation.ts';
import type { Hive } from './hive.ts';
import { type BorrowedAgent, borrow } from './lease.ts';
import { untilSettled } from './retry.ts';
import { type SubmitAllOptions, type Submitted, submitAll } from './submit-all.ts';
import { Together } from './together.ts';

export interface SwarmOptions {
  /** A connection whose home has, or will get, the swarm's key. */
  readonly hive: Hive;
  readonly name: string;
  readonly project?: string;
  readonly queenEndpoint?: string;
  readonly region?: string;
  readonly tags?: readonly string[];
  readonly capabilities?: readonly (Pick<Capability, 'agentType' | 'capacity'> & Partial<Capability>)[];
  /** The swarm's load, asked for each heartbeat; undefined = not said. */
  readonly load?: () => Load | undefined;
  readonly clock?: Clock;
}

export interface Swarm extends AsyncDisposable {
  readonly name: string;
  /** The connection, as this swarm. */
  readonly hive: Hive;
  /** Submits a task of this swarm. `id` makes a repeat harmless: the second is refused as ALREADY_EXISTS. */
  submitTask(spec: Partial<Omit<TaskSpec, 'swarm'>> & Pick<TaskSpec, 'type'>, id?: string): Promise<Task>;
  /** Submits any number of tasks of this swarm, and says of each what became of it. See `submitAll`. */
  submitTasks(
    tasks: readonly { spec: Partial<Omit<TaskSpec, 'swarm'>> & Pick<TaskSpec, 'type'>; id?: string }[],
    options?: SubmitAllOptions,
  ): Promise<Submitted[]>;
  /**
   * Like `submitTask`, for who submits much: what is submitted in one tick travels in one call, whose trace it shares. A
   * repeat of an id with the same spec is answered by what is there.
   */
  submitSoon(spec: Partial<Omit<TaskSpec, 'swarm'>> & Pick<TaskSpec, 'type'>, id?: string): Promise<Submitted>;
  /**
   * Borrows an agent of another swarm. RESOURCE_EXHAUSTED when none is free, at once or after `waitMs`. When `signal` aborts
   * before, the request is taken back.
   */
  requestAgent(
    request: Partial<Omit<RequestAgentRequest, 'swarm'>> & { type: string },
    options?: { signal?: AbortSignal },
  ): Promise<BorrowedAgent>;
  /** Starts an agent of this swarm in this process. */
  createAgent(options: Omit<AgentOptions, 'hive' | 'swarm'>): Promise<Agent>;
  /** Stops the heartbeats. The swarm stays registered, and is shown as unreachable, unless `deregister`. */
  close(options?: { deregister?: boolean }): Promise<void>;
}

/** What is submitted soon. */
type Soon = Parameters<Swarm['submitTasks']>[0][number] & Delegated;

/** So many tasks at most go together. */
const MAX_SOON = 10_000;
/** How long a registration is tried. */
const START_MS = 15_000;

/** Registers a swarm, or updates it, says so on the discovery subject, and keeps it alive by heartbeats. */
export async function createSwarm(options: SwarmOptions): Promise<Swarm> {
  const { clock = systemClock, name } = options;
  const hive = await options.hive.as({ kind: 'swarm', swarm: name });
  const end = new AbortController();
  const registration = registrationOf(options);
  await untilSettled(() => hive.registry.registerSwarm(registration), {
    clock,
    signal: end.signal,
    giveUpMs: START_MS,
  });
  const { intervalMs } = await hive.registry.heartbeat({ swarm: name, load: options.load?.() });
  hive.publish(discoverySubject(hive.federation), 'hivebus.registry.v1.DiscoveryMessage', { announce: registration });
  const beating = keepAlive(hive, name, intervalMs, options.load, clock, end.signal);
  const close = async ({ deregister = false } = {}): Promise<void> => {
    end.abort();
    await beating;
    if (deregister) await hive.registry.deregisterSwarm({ name });
  };
  const submitTasks: Swarm['submitTasks'] = (tasks, given) => {
    const own = tasks.map(({ spec, ...rest }) => ({ spec: merged(spec, { swarm: name }), ...rest }));
    return submitAll(hive, own, { clock, ...given });
  };
  // What goes together may come from several tasks' handlers, and is sent from where the first is.
  const soon = new Together((tasks: Soon[]) => withoutTask(() => submitTasks(tasks)), MAX_SOON);
  return {
    name,
    hive,
    submitTask: (spec, id = '') => submitTask(hive, merged(spec, { swarm: name }), id),
    submitTasks,
    submitSoon: (spec, id = '') => soon.call({ ...delegatedHere(hive.federation), spec, id }),
    requestAgent: (request, given) => borrow(hive, { ...request, swarm: name }, clock, given?.signal),
    createAgent: (agent) => createAgent({ clock, ...agent, hive, swarm: name }),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Says every `intervalMs` that a swarm is alive, until `signal` aborts. */
export async function keepAlive(
  hive: Hive,
  swarm: string,
  intervalMs: number,
  load: (() => Load | undefined) | undefined,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await pause(clock, intervalMs, signal);
    if (signal.aborted || hive.nc.isClosed()) return;
    const beat: HeartbeatRequest = { swarm, load: load?.() };
    hive.publish(heartbeatSubject(hive.federation, swarm), 'hivebus.registry.v1.HeartbeatRequest', beat);
  }
}

function registrationOf(options: SwarmOptions): Partial<RegisterSwarmRequest> {
  const { name, project = '', queenEndpoint = '', region = '', tags = [], capabilities = [] } = options;
  const offers = capabilities.map((each) => ({ specializations: [], skills: [], ...each }));
  return { name, project, queenEndpoint, region, tags: [...tags], capabilities: offers };
}

const NO_SPEC = {
  ...{ swarm: '', type: '', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0 },
  ...{ labels: {}, title: '' },
};

async function submitTask(hive: Hive, spec: Partial<TaskSpec>, id: string): Promise<Task> {
  const whole: TaskSpec = merged(NO_SPEC, spec);
  const { task } = await hive.pool.submitTask({ spec: whole, id });
  if (!task) throw new HiveError('INTERNAL', 'the pool answered without a task');
  return task;
}
