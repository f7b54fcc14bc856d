import type { Clock } from '../kernel/clock.ts';
import type { HiveError } from '../kernel/errors.ts';
import type { RegisterAgentRequest } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';
import type { TaskHandler } from './task.ts';

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
  /** A folder for what tasks keep between attempts; left out: the agent gets no tasks with volumes. */
  readonly dataFolder?: string;
  /** How long a handler may go on after its signal has aborted, before it is left behind, in milliseconds. */
  readonly abandonMs?: number;
  /** What happens, in words, for a log: to single tasks, or to the agent, as when the pool cannot be reached. */
  readonly onEvent?: (text: string, about: 'task' | 'agent') => void;
  readonly clock?: Clock;
}

export interface Agent extends AsyncDisposable {
  /** Its home; another one after a migration. */
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

/** What an agent tells the pool of itself. */
export function offerOf(options: AgentOptions, swarm: string, name: string, instance: string): RegisterAgentRequest {
  const { type, capabilities = [], slots = 1, allowScripts = false, region = '', priority = 0 } = options;
  const { labels = {}, specialisations = [], cost = 0 } = options;
  return {
    ...{ swarm, name, type, slots, instance, allowScripts, region, priority, cost },
    capabilities: [...capabilities],
    labels: { ...labels },
    specialisations: [...specialisations],
  };
}
