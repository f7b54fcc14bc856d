import { DueQueue } from '../../../libs/kernel/due-queue.ts';
import { byText, OrderedList } from '../../../libs/kernel/ordered-list.ts';
import { Table } from '../../../libs/kernel/table.ts';
import type { Decision } from '../../../libs/protocol/machine.ts';
import type * as event from '../../../libs/wire/hivebus/registry/v1/events.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { CapabilityIndex } from './capability-index.ts';
import type { ClusterRow, DeclaredAgentRow, FederationRow, Heard, SwarmRow } from './rows.ts';

/**
 * One federation's registry. Invariants, besides those of the rows:
 *   - `names`, `capabilities`, `unreachable` and `census` follow from `swarms` alone;
 *   - `unreachable` holds exactly the swarms that are LIVENESS_UNREACHABLE, due at their livenessSince;
 *   - `census` counts each swarm once, by its liveness.
 */
export interface RegistryState {
  /** The federation that this registry is of. */
  readonly federation: string;
  /** In `main` all federations, elsewhere the own one: its settings, as `main` has handed them over. */
  readonly federations: Table<FederationRow>;
  readonly swarms: Table<SwarmRow>;
  readonly clusters: Table<ClusterRow>;
  readonly declared: Table<DeclaredAgentRow>;
  readonly names: OrderedList<string>;
  readonly capabilities: CapabilityIndex;
  readonly unreachable: DueQueue;
  readonly census: Map<rpc.Liveness, number>;
}

export interface RegistrySoft {
  heard(swarm: string): Heard | undefined;
}

/** What the leader's failure detector has seen of a swarm. */
export interface LivenessObservation {
  readonly name: string;
  /** The swarm's revision when it was seen: a swarm that registered since is not judged by what was before. */
  readonly swarmRevision: number;
  readonly liveness: rpc.Liveness;
  readonly phi: number;
  /** When the last heartbeat had arrived, milliseconds since 1970; 0 = none has since the leader began. */
  readonly lastHeartbeatAt: number;
}

export type FederationSettings = Pick<rpc.Federation, 'name' | 'description' | 'joinPolicy' | 'removeAfterMs'>;

export type RegistryShape = {
  state: RegistryState;
  commands: {
    initFederation: { input: rpc.InitFederationRequest; reply: rpc.InitFederationResponse };
    updateFederation: { input: rpc.UpdateFederationRequest; reply: rpc.UpdateFederationResponse };
    /** Internal: makes a federation's settings what they are in `main`; creates `main` itself. */
    adoptFederation: { input: FederationSettings; reply: { changed: boolean } };
    registerSwarm: { input: rpc.RegisterSwarmRequest; reply: rpc.RegisterSwarmResponse };
    deregisterSwarm: { input: rpc.DeregisterSwarmRequest; reply: rpc.DeregisterSwarmResponse };
    /** Internal: the failure detector of the leader's shell reports a change. */
    observeLiveness: { input: LivenessObservation; reply: { changed: boolean } };
    putCluster: { input: rpc.PutClusterRequest; reply: rpc.PutClusterResponse };
    deleteCluster: { input: rpc.DeleteClusterRequest; reply: rpc.DeleteClusterResponse };
    putDeclaredAgent: { input: rpc.PutDeclaredAgentRequest; reply: rpc.PutDeclaredAgentResponse };
    deleteDeclaredAgent: { input: rpc.DeleteDeclaredAgentRequest; reply: rpc.DeleteDeclaredAgentResponse };
  };
  queries: {
    getFederation: { input: { name: string }; reply: { federation: rpc.Federation } };
    /** Internal, see `adoptFederation`. */
    settings: { input: { name: string }; reply: { settings?: FederationSettings } };
    listFederations: { input: rpc.ListFederationsRequest; reply: rpc.ListFederationsResponse };
    census: { input: object; reply: Omit<rpc.GetFederationResponse, 'federation'> };
    getSwarm: { input: { name: string }; reply: rpc.GetSwarmResponse };
    /** Those of `names` that are registered. */
    getSwarms: { input: { names: readonly string[] }; reply: { swarms: rpc.Swarm[] } };
    listSwarms: { input: SwarmFilter; reply: rpc.ListSwarmsResponse };
    findSwarms: { input: rpc.FindSwarmsRequest; reply: rpc.FindSwarmsResponse };
    compareSwarms: { input: rpc.CompareSwarmsRequest; reply: rpc.CompareSwarmsResponse };
    recommendFallbacks: { input: rpc.RecommendFallbacksRequest; reply: rpc.RecommendFallbacksResponse };
    getCluster: { input: rpc.GetClusterRequest; reply: rpc.GetClusterResponse };
    listClusters: { input: rpc.ListClustersRequest; reply: rpc.ListClustersResponse };
    getDeclaredAgent: { input: rpc.GetDeclaredAgentRequest; reply: rpc.GetDeclaredAgentResponse };
    listDeclaredAgents: { input: rpc.ListDeclaredAgentsRequest; reply: rpc.ListDeclaredAgentsResponse };
  };
  events: {
    'federation.created': event.FederationCreated;
    'federation.updated': event.FederationUpdated;
    'swarm.registered': event.SwarmRegistered;
    'swarm.removed': event.SwarmRemoved;
    'swarm.liveness': event.SwarmLivenessChanged;
    'cluster.stored': event.ClusterStored;
    'cluster.deleted': event.ClusterDeleted;
    'declared-agent.stored': event.DeclaredAgentStored;
    'declared-agent.deleted': event.DeclaredAgentDeleted;
  };
  soft: RegistrySoft;
};

export type SwarmFilter = Pick<
  rpc.ListSwarmsRequest,
  'tags' | 'region' | 'agentType' | 'liveness' | 'pageSize' | 'pageToken'
>;

/** What a command answers with, by its name. */
export type Decided<N extends keyof RegistryShape['commands']> = Decision<
  RegistryShape,
  RegistryShape['commands'][N]['reply']
>;

export const emptyState = (federation: string): RegistryState => ({
  federation,
  federations: new Table(),
  swarms: new Table(),
  clusters: new Table(),
  declared: new Table(),
  names: new OrderedList(byText),
  capabilities: new CapabilityIndex(),
  unreachable: new DueQueue(),
  census: new Map(),
});

/** Puts a swarm's row in, in place of the one before, and keeps what is derived from it. */
export function setSwarm(state: RegistryState, row: SwarmRow): void {
  const before = state.swarms.get(row.name);
  state.swarms.set(row.name, row);
  if (before && row.liveness === before.liveness && row.capabilities === before.capabilities) return;
  if (before) unindex(state, before);
  index(state, row);
}

export function deleteSwarm(state: RegistryState, name: string): void {
  const row = state.swarms.get(name);
  if (!row) return;
  state.swarms.delete(name);
  unindex(state, row);
  state.names.remove(name);
  state.unreachable.delete(name);
}

/** Rebuilds what is derived, after the tables were filled. */
export function reindex(state: RegistryState): void {
  for (const row of state.swarms.values()) index(state, row);
}

function index(state: RegistryState, row: SwarmRow): void {
  state.names.add(row.name);
  state.capabilities.add(row);
  state.census.set(row.liveness, (state.census.get(row.liveness) ?? 0) + 1);
  if (row.liveness === 'LIVENESS_UNREACHABLE') state.unreachable.set(row.name, row.livenessSince);
  else state.unreachable.delete(row.name);
}

function unindex(state: RegistryState, row: SwarmRow): void {
  state.capabilities.remove(row);
  state.census.set(row.liveness, (state.census.get(row.liveness) ?? 0) - 1);
}
