import { expect } from 'vitest';
import type { Principal } from '../../../libs/protocol/principal.ts';
import { type MachineRunner, runMachine } from '../../../libs/testkit/machine-runner.ts';
import type {
  ConfirmAssignmentResponse,
  Outcome,
  RegisterAgentRequest,
  RequestAgentRequest,
  Task,
  TaskSpec,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { createPoolMachine } from './machine.ts';
import { meets, wishOf } from './need.ts';
import { asksOf, isOffered, offeredTo } from './offered.ts';
import type { Asks } from './requests.ts';
import { type AgentRow, currentAttempt } from './rows.ts';
import { DEFAULT_SETTINGS, type PoolSettings } from './settings.ts';
import type { PoolShape, PoolSoft, PoolState } from './state.ts';
import { offerOf } from './workers.ts';

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
    names: () => swarms,
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
  id: '',
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

  confirm(id: string, principal: Principal = ada): ConfirmAssignmentResponse {
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

/** Counts by looking whether a swarm may use no more, and that it never uses more. */
export function isAtLimit(state: PoolState, swarm: string, what: 'running' | 'leases'): boolean {
  const running = () => [...state.tasks.values()].filter((task) => task.spec.swarm === swarm && currentAttempt(task));
  const borrowed = () => [...state.leases.values()].filter((row) => row.borrower === swarm && row.endedAt === 0);
  const count = (what === 'running' ? running() : borrowed()).length;
  expect(state.usage[what].of(swarm)).toBe(count);
  const max = state.limits.get(swarm)?.[what === 'running' ? 'maxRunning' : 'maxLeases'] ?? 0;
  if (max > 0) expect(count).toBeLessThanOrEqual(max);
  return max > 0 && count >= max;
}

/** What a swarm says that it lends, by looking at all of its agents. */
function mayLend(state: PoolState, agent: AgentRow, borrower: string): boolean {
  const policy = state.lending.get(agent.home)?.policy;
  if (!policy) return true;
  const home = [...state.agents.values()].filter((row) => row.home === agent.home);
  const lent = home.filter((row) => row.lease !== '').length;
  const alike = home.filter((row) => row.type === agent.type && row.state !== 'AGENT_STATE_UNREACHABLE');
  const left = alike.filter((row) => row.lease === '').length - 1;
  const isMeant = !policy.closed && (policy.to.length === 0 || policy.to.includes(borrower));
  const isRoom = policy.maxLent === 0 || lent < policy.maxLent;
  return isMeant && isRoom && (policy.keepPercent === 0 || left * 100 >= alike.length * policy.keepPercent);
}

/** No request waits while an agent that could be lent to it is at home and free. */
export function checkRequests(state: PoolState): void {
  expect(state.asking.size).toBe(state.requests.size);
  checkAsks(state, state.requests.values());
}

/** No task that is offered waits while an agent that could be lent to its swarm is at home and free. */
export function checkOffers(state: PoolState): void {
  const offered = [...state.tasks.values()].filter(isOffered);
  const open = offered.filter((task) => state.stealing.afterMs > 0 || offeredTo(task) !== '');
  expect(state.stealing.tasks.size).toBe(open.length);
  const asks = open
    .filter((task) => !isAtLimit(state, task.spec.swarm, 'running'))
    .map((task) => asksOf(task, offeredTo(task)));
  checkAsks(state, asks);
  for (const lease of state.leases.values()) {
    const agent = lease.task && lease.state === 'LEASE_STATE_ACTIVE' ? state.agents.get(lease.agent) : undefined;
    if (agent) expect(state.workers.get(agent.key)?.busy, `${agent.key} is kept by ${lease.id}`).toBeGreaterThan(0);
    if (lease.task) expect(lease.choice?.best[0]?.agent, `why ${lease.id}`).toBe(lease.agent);
  }
}

function checkAsks(state: PoolState, asks: Iterable<Asks>): void {
  for (const { id, wish } of asks) {
    if (isAtLimit(state, wish.swarm, 'leases')) continue;
    for (const agent of state.agents.values()) {
      const isAtWork = agent.state === 'AGENT_STATE_READY' && !agent.lameDuck;
      const isMeant = wish.lender === '' || wish.lender === agent.home;
      const isOpen = isAtWork && isMeant && agent.lease === '' && agent.home !== wish.swarm;
      const isFree = (state.workers.get(agent.key)?.busy ?? 0) < agent.slots;
      const fits = agent.type === wish.type && meets(offerOf(agent), wishOf(wish).need);
      const couldBeLent = isOpen && isFree && fits && mayLend(state, agent, wish.swarm);
      expect(couldBeLent, `${id} waits and ${agent.key} could be lent`).toBe(false);
    }
  }
}
