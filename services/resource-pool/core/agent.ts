import { counted } from '../../../libs/kernel/counted.ts';
import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { Agent, Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { keyOfSwarm, registrationOf, requireAgent, requireService } from './access.ts';
import { moveOf, offerOf, rowOf } from './agent-rows.ts';
import { loseAttempts } from './attempt.ts';
import { replaced } from './delivery.ts';
import { Plan } from './dispatch.ts';
import { revokeLease, settled } from './lease.ts';
import { arrive, refuseMoved } from './migration.ts';
import { type AgentRow, agentKey } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolState } from './state.ts';
import { deleteAgent, dropOwed, putAgent } from './store.ts';
import { agentView } from './view.ts';
import { agentWith } from './whole-rows.ts';

export const agentCommands = (
  settings: PoolSettings,
): Pick<Machine<PoolShape>['commands'], 'registerAgent' | 'deregisterAgent' | 'observeAgent'> => ({
  registerAgent(state, input, ctx) {
    const ownerKey = keyOfSwarm(ctx, input.swarm);
    requireAgent(ctx, { home: input.swarm, name: input.name, ownerKey }, 'register an agent');
    const key = agentKey(input.swarm, input.name);
    const before = state.agents.get(key);
    if (!before) refuseMoved(state, key);
    if (!before && state.agents.size >= settings.maxAgents) throw tooMany(settings.maxAgents);
    const row = rowOf(input, ownerKey, registrationOf(ctx, input.swarm), before);
    const reply = () => {
      const now = state.agents.get(key);
      return {
        agent: now && agentView(now, state),
        heartbeatMs: settings.heartbeatMs,
        revision: String(ctx.revision),
        move: now && moveOf(state, now),
        deliveryKey: ctx.soft.deliveryKey,
      };
    };
    const arrival = input.migration ? arrive(state, input.migration, row, ctx) : undefined;
    if (arrival) return { events: arrival, reply };
    if (before && isSame(before, row)) return { events: [], reply };
    return { events: register(state, before, row, settings), reply };
  },

  deregisterAgent(state, input, ctx) {
    const key = agentKey(input.swarm, input.name);
    const row = state.agents.get(key);
    if (!row) throw notFound('agent', key);
    requireAgent(ctx, row, 'deregister an agent');
    if (input.instance !== '' && input.instance !== row.instance) throw replaced(key, row.instance, input.instance);
    return {
      // One that leaves in good order gives back what it has; from another it is lost.
      events: removeAgent(state, row, 'deregistered', settings, row.lameDuck ? 'OUTCOME_MOVED' : 'OUTCOME_LOST'),
      reply: () => ({ revision: String(ctx.revision) }),
    };
  },

  observeAgent(state, { agent, instance, state: seen, reason }, ctx) {
    requireService(ctx, 'judge an agent');
    const row = state.agents.get(agent);
    const isNews = row && row.instance === instance && row.state !== seen;
    if (!isNews) return { events: [], reply: () => null };
    const plan = new Plan(state);
    const changed: PoolEvent = { type: 'agent.state', data: { agent, instance, state: seen, reason } };
    const isLost = seen === 'AGENT_STATE_UNREACHABLE';
    const lost = isLost ? loseAttempts(state, agent, `agent unreachable: ${reason}`, plan, settings) : [];
    plan.changeRow(agentWith(row, { state: seen }));
    const revoked = isLost ? revokeLease(state, row, `agent unreachable: ${reason}`, plan) : [];
    return { events: [...lost, changed, ...revoked, ...settled(state, plan)], reply: () => null };
  },
});

export const agentEvents = (
  settings: PoolSettings,
): Pick<Machine<PoolShape>['events'], 'agent.registered' | 'agent.removed' | 'agent.state'> => ({
  'agent.registered': {
    apply(state, data, at) {
      const agent = data.agent as Agent;
      const key = agentKey(agent.swarm, agent.name);
      const before = state.agents.get(key);
      const row = rowOf(agent, data.ownerKey, data.registration, before);
      if (before && before.instance !== row.instance) dropOwed(state, key);
      putAgent(state, agentWith(row, { stateSince: at.time, revision: at.revision }), settings);
    },
    key: (data) => `${data.agent?.swarm}.${data.agent?.name}`,
  },

  'agent.removed': {
    apply: (state, data) => deleteAgent(state, data.agent),
    key: (data) => data.agent.replace('/', '.'),
  },

  'agent.state': {
    apply(state, data, at) {
      const row = state.agents.get(data.agent);
      if (!row) return;
      putAgent(state, agentWith(row, { state: data.state, stateSince: at.time }), settings);
      if (data.state === 'AGENT_STATE_UNREACHABLE') dropOwed(state, row.key);
    },
    key: (data) => data.agent.replace('/', '.'),
  },
});

/** Takes an agent out of the pool: what it has is given out again. */
export function removeAgent(
  state: PoolState,
  row: AgentRow,
  reason: string,
  settings: PoolSettings,
  outcome: Outcome = 'OUTCOME_LOST',
): PoolEvent[] {
  const plan = new Plan(state);
  const why = `agent removed: ${reason}`;
  const lost = loseAttempts(state, row.key, why, plan, settings, outcome);
  const revoked = revokeLease(state, row, why, plan);
  const migration = state.moving.of(row.key);
  const stays: PoolEvent[] = migration ? [{ type: 'migration.cancelled', data: { migration, reason: why } }] : [];
  plan.remove(row.key);
  return [
    ...lost,
    ...revoked,
    ...stays,
    { type: 'agent.removed', data: { agent: row.key, reason } },
    ...settled(state, plan),
  ];
}

function register(
  state: PoolState,
  before: AgentRow | undefined,
  row: AgentRow,
  settings: PoolSettings,
): readonly PoolEvent[] {
  const plan = new Plan(state);
  const events: PoolEvent[] = [];
  if (before && before.instance !== row.instance) {
    events.push(...loseAttempts(state, row.key, `replaced by instance ${row.instance}`, plan, settings));
  }
  const busy = plan.spot(row.key)?.busy ?? 0;
  if (busy > row.slots) throw tooFewSlots(row, busy);
  plan.changeRow(row);
  const { ownerKey, registration = '' } = row;
  events.push({ type: 'agent.registered', data: { agent: offerOf(row), ownerKey, registration } });
  if (before && !stillFits(before, row)) events.push(...revokeLease(state, before, 'the agent offers less now', plan));
  return [...events, ...settled(state, plan)];
}

const isSame = (before: AgentRow, row: AgentRow): boolean => JSON.stringify(before) === JSON.stringify(row);

const stillFits = (before: AgentRow, row: AgentRow): boolean =>
  before.type === row.type &&
  before.capabilities.every((capability) => row.capabilities.includes(capability)) &&
  Object.keys(before.labels).every((key) => before.labels[key] === row.labels[key]);

const tooMany = (limit: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${limit} agents are registered, which is the limit; deregister some first`, {
    reason: 'TOO_MANY_AGENTS',
  });

const tooFewSlots = (row: AgentRow, busy: number): HiveError =>
  new HiveError(
    'FAILED_PRECONDITION',
    `agent ${quote(row.key)} runs ${counted(busy, 'task')}; with ${counted(row.slots, 'slot')} it must finish some first`,
  );
