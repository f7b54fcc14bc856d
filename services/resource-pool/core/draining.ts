import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Ctx, Machine } from '../../../libs/protocol/machine.ts';
import { requireAgent } from './access.ts';
import { endAttempt } from './attempt.ts';
import { replaced } from './delivery.ts';
import { Plan } from './dispatch.ts';
import { endLease, settled } from './lease.ts';
import { type AgentRow, agentKey, type LameDuck, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolState } from './state.ts';
import { putAgent } from './store.ts';
import { agentView } from './view.ts';
import { agentWith } from './whole-rows.ts';

/**
 * Lame ducks: agents that are taken out of service gently. One is given nothing new; what it runs has a grace time; what
 * is left then moves, with no attempt used up and without waiting for anybody to find the agent dead. When nothing of it
 * runs any more, it is drained. A drain belongs to one run of the agent: a new instance begins without.
 */
export const drainingCommands = (
  settings: PoolSettings,
): Pick<Machine<PoolShape>['commands'], 'drainAgent' | 'resumeAgent'> => ({
  drainAgent(state, input, ctx) {
    const row = find(state, input, ctx, 'drain an agent');
    if (input.instance !== '' && input.instance !== row.instance) {
      throw replaced(row.key, row.instance, input.instance);
    }
    const plan = new Plan(state);
    const { graceMs, reason } = input;
    const events = [...drain(state, row, { graceMs, reason }, plan, settings), ...settled(state, plan)];
    return { events, reply: () => answer(state, row.key, ctx) };
  },

  resumeAgent(state, input, ctx) {
    const row = find(state, input, ctx, 'resume an agent');
    const reply = () => answer(state, row.key, ctx);
    if (!row.lameDuck) return { events: [], reply };
    if (row.lameDuck.migration !== undefined) throw moves(row.key, row.lameDuck.migration);
    const plan = new Plan(state);
    return { events: [...resume(row, plan), ...settled(state, plan)], reply };
  },
});

export const drainingEvents = (
  settings: PoolSettings,
): Pick<Machine<PoolShape>['events'], 'agent.draining' | 'agent.drained' | 'agent.resumed'> => ({
  'agent.draining': {
    apply(state, { agent, graceMs, reason, migration }, at) {
      const row = state.agents.get(agent);
      const to = state.migrations.get(migration)?.to;
      const by = migration ? { migration, ...(to ? { to } : {}) } : {};
      if (row) putAgent(state, asLameDuck(row, { since: at.time, graceMs, isDrained: false, reason, ...by }), settings);
    },
    key: (data) => data.agent.replace('/', '.'),
  },

  'agent.drained': {
    apply(state, data) {
      const row = state.agents.get(data.agent);
      if (row?.lameDuck) putAgent(state, asLameDuck(row, { ...row.lameDuck, isDrained: true }), settings);
    },
    key: (data) => data.agent.replace('/', '.'),
  },

  'agent.resumed': {
    apply(state, data) {
      const row = state.agents.get(data.agent);
      if (row) putAgent(state, inService(row), settings);
    },
    key: (data) => data.agent.replace('/', '.'),
  },
});

/** What a drain is told; with a migration, where it leads. */
type Draining = Pick<LameDuck, 'graceMs' | 'reason' | 'migration' | 'to'>;

/** Takes an agent out of service, from its lease, too; again: with the new grace time from now on. */
export function drain(
  state: PoolState,
  row: AgentRow,
  { graceMs, reason, migration = row.lameDuck?.migration, to = row.lameDuck?.to }: Draining,
  plan: Plan,
  settings: PoolSettings,
): readonly PoolEvent[] {
  const leads = { ...(migration ? { migration } : {}), ...(to ? { to } : {}) };
  plan.changeRow(asLameDuck(row, { since: 0, graceMs, isDrained: false, reason, ...leads }));
  const moved = moveAway(state, row, reason, plan, settings, isNotBegun);
  const lease = state.leases.get(row.lease);
  const isHeld = lease?.state === 'LEASE_STATE_ACTIVE';
  const why = outOfService(reason);
  const ends = isHeld ? endLease(state, lease, 'LEASE_STATE_REVOKED', why, plan, { noticeMs: graceMs }) : [];
  const draining: PoolEvent = {
    type: 'agent.draining',
    data: { agent: row.key, graceMs, reason, migration: migration ?? '' },
  };
  return [draining, ...moved, ...ends];
}

/** What it has not confirmed it has not begun, and one that leaves takes no more of it. */
const isNotBegun = (task: TaskRow): boolean => task.state === 'TASK_STATE_ASSIGNED';

export function resume(row: AgentRow, plan: Plan): readonly PoolEvent[] {
  plan.changeRow(inService(row));
  return [{ type: 'agent.resumed', data: { agent: row.key } }];
}

/** The grace time is over: what still runs is given to others. */
export const giveBack = (state: PoolState, agent: AgentRow, plan: Plan, settings: PoolSettings): PoolEvent[] =>
  moveAway(state, agent, agent.lameDuck?.reason ?? '', plan, settings);

function moveAway(
  state: PoolState,
  { key }: AgentRow,
  why: string,
  plan: Plan,
  settings: PoolSettings,
  isMeant: (task: TaskRow) => boolean = () => true,
): PoolEvent[] {
  const ending = { outcome: 'OUTCOME_MOVED', reason: outOfService(why), stopAgent: true } as const;
  const events: PoolEvent[] = [];
  for (const id of state.workers.tasksOf(key)) {
    const task = state.tasks.get(id);
    if (task && isMeant(task) && !plan.hasVacated(id)) events.push(endAttempt(task, ending, plan, settings));
  }
  return events;
}

const outOfService = (reason: string): string =>
  `its agent is taken out of service${reason === '' ? '' : `: ${reason}`}`;

const asLameDuck = (row: AgentRow, lameDuck: LameDuck): AgentRow => agentWith(row, { lameDuck });

const inService = (row: AgentRow): AgentRow => agentWith(row, { lameDuck: undefined });

type Named = { readonly swarm: string; readonly name: string };

function find(state: PoolState, { swarm, name }: Named, ctx: Ctx<PoolShape['soft']>, action: string): AgentRow {
  const row = state.agents.get(agentKey(swarm, name));
  if (!row) throw notFound('agent', agentKey(swarm, name));
  requireAgent(ctx, row, action);
  return row;
}

function answer(state: PoolState, key: string, ctx: Ctx) {
  const row = state.agents.get(key);
  return { agent: row && agentView(row, state), revision: String(ctx.revision) };
}

const moves = (agent: string, migration: string): HiveError =>
  new HiveError('FAILED_PRECONDITION', `agent ${quote(agent)} moves by ${quote(migration)}: cancel that instead`, {
    reason: 'MIGRATING',
  });
