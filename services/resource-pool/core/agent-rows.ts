import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { Agent, AgentDrain, AgentMove, RegisterAgentRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { NO_LABELS, NONE, sparing } from './need.ts';
import { type AgentRow, agentKey, type LameDuck } from './rows.ts';
import type { PoolState } from './state.ts';
import { wholeAgent } from './whole-rows.ts';

/** Agents as they are kept, and as events tell them. */

/** The agent's row as it will be; events of older journals lack the newer fields. A lease outlives a restart: what was lent is the agent, not its process. */
export const rowOf = (
  agent: RegisterAgentRequest | Agent,
  ownerKey: string,
  registration: string,
  before: AgentRow | undefined,
): AgentRow =>
  wholeAgent({
    key: agentKey(agent.swarm, agent.name),
    home: agent.swarm,
    name: agent.name,
    type: agent.type,
    capabilities: agent.capabilities,
    slots: agent.slots || 1,
    instance: agent.instance,
    allowScripts: agent.allowScripts,
    region: agent.region,
    priority: agent.priority,
    labels: sparing(agent.labels ?? NO_LABELS),
    specialisations: agent.specialisations?.length > 0 ? agent.specialisations : NONE,
    cost: agent.cost ?? 0,
    ownerKey,
    state: 'AGENT_STATE_READY',
    stateSince: before?.stateSince ?? 0,
    lease: before?.lease ?? '',
    serving: before?.serving ?? agent.swarm,
    draining: before?.draining ?? false,
    revision: before?.revision ?? 0,
    registration: registration || undefined,
    lameDuck: before && outlasts(before, agent.instance) ? before.lameDuck : undefined,
  });

/** The part that the event keeps; the rest follows from the journal. */
export const offerOf = (row: AgentRow): Agent => ({
  swarm: row.home,
  name: row.name,
  type: row.type,
  capabilities: [...row.capabilities],
  slots: row.slots,
  instance: row.instance,
  allowScripts: row.allowScripts,
  region: row.region,
  priority: row.priority,
  state: 'AGENT_STATE_UNSPECIFIED',
  busy: 0,
  lease: '',
  serving: '',
  revision: '0',
  labels: { ...row.labels },
  specialisations: [...row.specialisations],
  cost: row.cost,
});

/** A drain is of one run of the agent, but a migration is of the agent. */
const outlasts = ({ instance, lameDuck }: AgentRow, next: string): boolean =>
  instance === next || lameDuck?.migration !== undefined;

/** A drain as agents and people are told of it. */
export const drainView = ({ since, graceMs, isDrained, reason }: LameDuck): AgentDrain => ({
  since: timestamp(since),
  until: timestamp(since + graceMs),
  done: isDrained,
  reason,
});

/** What an agent is told that shall register in another swarm now. */
export function moveOf(state: PoolState, { lameDuck }: AgentRow): AgentMove | undefined {
  const row = lameDuck?.migration === undefined ? undefined : state.migrations.get(lameDuck.migration);
  if (row?.state !== 'MIGRATION_STATE_TRANSFERRING') return undefined;
  const { id: migration, to: swarm, name, traceparent, correlationId } = row;
  return { migration, swarm, name, traceparent, correlationId };
}
