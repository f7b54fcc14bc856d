import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import { byText } from '../../../libs/kernel/ordered-list.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import { fitting } from '../../../libs/protocol/answer-size.ts';
import type { Ctx, Stamp, View } from '../../../libs/protocol/machine.ts';
import type { AgentSpec } from '../../../libs/wire/hivebus/registry/v1/agent.ts';
import type { DeclaredAgentDeleted, DeclaredAgentStored } from '../../../libs/wire/hivebus/registry/v1/events.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { checkRevision, writer } from './access.ts';
import { mayDescribe } from './cluster.ts';
import type { DeclaredAgentRow } from './rows.ts';
import type { Decided, RegistryState } from './state.ts';

/** Agents that swarms should have, as SwarmAgent manifests say. They are kept and versioned; nothing acts on them yet. */

const DEFAULT_PAGE = 100;
/** Declared agents of one swarm. */
const MAX_OF_SWARM = 1000;

const declaredKey = (swarm: string, name: string): string => `${swarm}/${name}`;

export function putDeclaredAgent(
  state: RegistryState,
  input: rpc.PutDeclaredAgentRequest,
  ctx: Ctx,
): Decided<'putDeclaredAgent'> {
  const { swarm, name } = input;
  const key = declaredKey(swarm, name);
  const row = state.declared.get(key);
  mayDescribe(state, swarm, ctx.principal);
  if (!row && countOf(state, swarm) >= MAX_OF_SWARM) throw tooMany(swarm);
  checkRevision('declared agent', key, input.expectedRevision, row);
  const spec = input.spec as AgentSpec;
  const data: DeclaredAgentStored = { swarm, name, spec, generation: String((row?.generation ?? 0) + 1) };
  const created = row === undefined;
  const changed = !row || !sameJson(row.spec, spec);
  const revision = String(ctx.revision);
  if (input.dryRun) {
    const agent = viewOf(changed ? rowOf(data, row, { revision: 0, time: ctx.now }) : row);
    return { events: [], reply: () => ({ agent, created, changed, revision }) };
  }
  return {
    events: changed ? [{ type: 'declared-agent.stored', data }] : [],
    reply: () => ({ agent: viewOf(mustHave(state, swarm, name)), created, changed, revision }),
  };
}

export function deleteDeclaredAgent(
  state: RegistryState,
  input: rpc.DeleteDeclaredAgentRequest,
  ctx: Ctx,
): Decided<'deleteDeclaredAgent'> {
  const { swarm, name } = input;
  writer(ctx.principal);
  const row = mustHave(state, swarm, name);
  mayDescribe(state, swarm, ctx.principal);
  checkRevision('declared agent', row.key, input.expectedRevision, row);
  return {
    events: [{ type: 'declared-agent.deleted', data: { swarm, name } }],
    reply: () => ({ revision: String(ctx.revision) }),
  };
}

export function applyDeclaredStored(state: RegistryState, data: DeclaredAgentStored, at: Stamp): void {
  const key = declaredKey(data.swarm, data.name);
  state.declared.set(key, rowOf(data, state.declared.get(key), at));
}

export const applyDeclaredDeleted = (state: RegistryState, { swarm, name }: DeclaredAgentDeleted): void => {
  state.declared.delete(declaredKey(swarm, name));
};

export const getDeclaredAgent = (
  state: RegistryState,
  { swarm, name }: rpc.GetDeclaredAgentRequest,
  view: View<unknown>,
): rpc.GetDeclaredAgentResponse => ({
  agent: viewOf(mustHave(state, swarm, name)),
  revision: String(view.revision),
});

/** A page in the order of swarms and names, after the one that the page token names. Ends early when it is full. */
export function listDeclaredAgents(
  state: RegistryState,
  { swarm, pageSize, pageToken }: rpc.ListDeclaredAgentsRequest,
  view: View<unknown>,
): rpc.ListDeclaredAgentsResponse {
  const rest = [...state.declared.values()]
    .filter((row) => (swarm === '' || row.swarm === swarm) && byText(row.key, pageToken) > 0)
    .sort((a, b) => byText(a.key, b.key));
  const rows = fitting(rest.slice(0, pageSize || DEFAULT_PAGE));
  const nextPageToken = rows.length < rest.length ? (rows.at(-1)?.key ?? '') : '';
  return { agents: rows.map(viewOf), nextPageToken, revision: String(view.revision) };
}

const rowOf = (
  data: DeclaredAgentStored,
  before: DeclaredAgentRow | undefined,
  at: Omit<Stamp, 'index'>,
): DeclaredAgentRow => ({
  key: declaredKey(data.swarm, data.name),
  swarm: data.swarm,
  name: data.name,
  spec: data.spec as AgentSpec,
  generation: Number(data.generation),
  revision: at.revision,
  createdAt: before?.createdAt ?? at.time,
  updatedAt: at.time,
});

const viewOf = (row: DeclaredAgentRow): rpc.DeclaredAgent => ({
  swarm: row.swarm,
  name: row.name,
  spec: row.spec,
  generation: String(row.generation),
  revision: String(row.revision),
  createdAt: timestamp(row.createdAt),
  updatedAt: timestamp(row.updatedAt),
});

function mustHave(state: RegistryState, swarm: string, name: string): DeclaredAgentRow {
  const row = state.declared.get(declaredKey(swarm, name));
  if (!row) throw notFound('declared agent', declaredKey(swarm, name), 'see ListDeclaredAgents');
  return row;
}

function countOf(state: RegistryState, swarm: string): number {
  let count = 0;
  for (const row of state.declared.values()) if (row.swarm === swarm) count++;
  return count;
}

const tooMany = (swarm: string): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `swarm ${quote(swarm)} has ${MAX_OF_SWARM} declared agents, which is the limit; delete some first`,
    { reason: 'TOO_MANY_DECLARED' },
  );
