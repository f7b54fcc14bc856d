import type { Principal } from '../../../libs/protocol/principal.ts';
import { type MachineRunner, runMachine } from '../../../libs/testkit/machine-runner.ts';
import type {
  Outcome,
  RegisterAgentRequest,
  RequestAgentRequest,
  Task,
  TaskSpec,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { createPoolMachine } from './machine.ts';
import { DEFAULT_SETTINGS, type PoolSettings } from './settings.ts';
import type { PoolShape, PoolSoft } from './state.ts';

/** What the pool's tests share: a pool whose swarms are `a`, `b`, `c` and `d`, each owned by the key `key-<swarm>`. */

export const START = 1_700_000_000_000;
const ada: Principal = { kind: 'operator', name: 'ada', key: 'key-ada' };
export const shell: Principal = { kind: 'service', name: 'pool' };
export const queen = (swarm: string): Principal => ({ kind: 'swarm', swarm, key: `key-${swarm}` });
export const agentPrincipal = (swarm: string, name: string): Principal => ({
  kind: 'agent',
  swarm,
  name,
  key: `key-${swarm}`,
});

export const knownSwarms = (...swarms: string[]): PoolSoft => ({
  swarms: {
    synced: true,
    keyOf: (swarm) => (swarms.includes(swarm) ? `key-${swarm}` : undefined),
    registrationOf: (swarm) => (swarms.includes(swarm) ? `${swarm}-1` : undefined),
  },
});

export const spec = (change: Partial<TaskSpec> = {}): TaskSpec => ({
  swarm: 'a',
  type: 'lint',
  capabilities: [],
  script: '',
  timeoutMs: 0,
  maxAttempts: 0,
  priority: 0,
  labels: {},
  title: '',
  ...change,
});

export const agent = (name: string, change: Partial<RegisterAgentRequest> = {}): RegisterAgentRequest => ({
  swarm: 'a',
  name,
  type: 'lint',
  capabilities: [],
  slots: 1,
  instance: 'i1',
  allowScripts: false,
  region: '',
  priority: 0,
  labels: {},
  specialisations: [],
  cost: 0,
  ...change,
});

export const wanted = (change: Partial<RequestAgentRequest> = {}): RequestAgentRequest => ({
  swarm: 'a',
  type: 'lint',
  capabilities: [],
  termMs: 0,
  lender: '',
  waitMs: 0,
  priority: 0,
  ...change,
});

export class Pool {
  readonly run: MachineRunner<PoolShape>;
  readonly operator: Principal = ada;
  now = START;

  constructor(settings: Partial<PoolSettings> = {}) {
    this.run = runMachine(createPoolMachine({ ...DEFAULT_SETTINGS, ...settings }), {
      principal: ada,
      now: START,
      epochStart: START,
      soft: knownSwarms('a', 'b', 'c', 'd'),
    });
  }

  register(name: string, change: Partial<RegisterAgentRequest> = {}): void {
    this.run.execute('registerAgent', agent(name, change), { principal: ada, now: this.now });
  }

  submit(id: string, change: Partial<TaskSpec> = {}): Task {
    return present(this.run.execute('submitTask', { id, spec: spec(change) }, { principal: ada, now: this.now }).task);
  }

  task(id: string): Task {
    return present(this.run.query('getTask', { id, minRevision: '0', linearizable: false }).task);
  }

  /** `QUEUED`, or `RUNNING on a/x`, or `FAILED`: what a test wants to know of a task at a glance. */
  where(id: string): string {
    const { state, attempts } = this.task(id);
    const isCurrent = state === 'TASK_STATE_ASSIGNED' || state === 'TASK_STATE_RUNNING';
    return state.slice('TASK_STATE_'.length) + (isCurrent ? ` on ${attempts.at(-1)?.agent}` : '');
  }

  confirm(id: string, principal: Principal = ada): { cancel: boolean } {
    return this.run.execute('confirmAssignment', { ...this.#current(id), logKey: '' }, { principal, now: this.now });
  }

  report(id: string, outcome: Outcome = 'OUTCOME_SUCCEEDED', result?: unknown, principal: Principal = ada): void {
    const said = { ...this.#current(id), outcome, result, reason: outcome === 'OUTCOME_SUCCEEDED' ? '' : 'said so' };
    this.run.execute('reportTask', said, { principal, now: this.now });
  }

  observe(key: string, state: 'READY' | 'SUSPECT' | 'UNREACHABLE', instance = 'i1'): void {
    const seen = { agent: key, instance, state: `AGENT_STATE_${state}`, reason: 'seen' } as const;
    this.run.execute('observeAgent', seen, { principal: shell });
  }

  observeAs(key: string, principal: Principal): void {
    const seen = { agent: key, instance: 'i1', state: 'AGENT_STATE_SUSPECT', reason: 'seen' } as const;
    this.run.execute('observeAgent', seen, { principal });
  }

  /** Lets time pass and ticks as often as the machine wants it. */
  pass(ms: number): void {
    this.now += ms;
    this.run.tick(this.now);
  }

  /** The types of the events since `from`. */
  types(from = 0): string[] {
    return this.run.events.slice(from).map(({ event }) => event.type);
  }

  #current(id: string): { task: string; attempt: number; instance: string } {
    const last = this.task(id).attempts.at(-1);
    return { task: id, attempt: last?.number ?? 0, instance: last?.instance ?? 'none' };
  }
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the answer has no body');
  return value;
}
