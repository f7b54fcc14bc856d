import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import { byText } from '../../../libs/kernel/ordered-list.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import { fitting } from '../../../libs/protocol/answer-size.ts';
import type { Ctx, Stamp, View } from '../../../libs/protocol/machine.ts';
import { describePrincipal, type Principal } from '../../../libs/protocol/principal.ts';
import type { ClusterSpec } from '../../../libs/wire/hivebus/registry/v1/cluster.ts';
import type { ClusterStored } from '../../../libs/wire/hivebus/registry/v1/events.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { checkRevision, denied, ownerOrOperator, writer } from './access.ts';
import type { ClusterRow } from './rows.ts';
import type { Decided, RegistryState } from './state.ts';

const DEFAULT_PAGE = 100;
/** Clusters of one swarm. */
const MAX_OF_SWARM = 16;

/** Nothing said: every part has its default. */
const EMPTY_SPEC: ClusterSpec = {
  topology: '',
  queenMode: '',
  strategy: '',
  consensusThreshold: 0,
  persistentVolumes: [],
};

/** Stores a desired state. Its swarm need not be registered yet, but then only operators may say what it shall be. */
export function putCluster(state: RegistryState, input: rpc.PutClusterRequest, ctx: Ctx): Decided<'putCluster'> {
  const row = state.clusters.get(input.name);
  const swarm = input.swarm || input.name;
  mayDescribe(state, swarm, ctx.principal);
  if (row && row.swarm !== swarm) mayDescribe(state, row.swarm, ctx.principal);
  // A swarm's own name is where its cluster is looked for: nobody else takes it.
  if (!row && state.swarms.has(input.name)) mayDescribe(state, input.name, ctx.principal);
  if (row?.swarm !== swarm && countOf(state, swarm) >= MAX_OF_SWARM) throw tooMany(swarm);
  checkRevision('cluster', input.name, input.expectedRevision, row);
  const spec = input.spec ?? EMPTY_SPEC;
  const changed = !row || row.swarm !== swarm || !sameJson(row.spec, spec);
  const data: ClusterStored = { name: input.name, swarm, spec, generation: String((row?.generation ?? 0) + 1) };
  const created = row === undefined;
  const revision = String(ctx.revision);
  if (input.dryRun) {
    const cluster = viewOfCluster(changed ? rowOf(data, row, { revision: 0, time: ctx.now }) : row);
    return { events: [], reply: () => ({ cluster, created, changed, revision }) };
  }
  return {
    events: changed ? [{ type: 'cluster.stored', data }] : [],
    reply: () => ({ cluster: viewOfCluster(mustHaveCluster(state, input.name)), created, changed, revision }),
  };
}

export function deleteCluster(
  state: RegistryState,
  input: rpc.DeleteClusterRequest,
  ctx: Ctx,
): Decided<'deleteCluster'> {
  writer(ctx.principal);
  const row = mustHaveCluster(state, input.name);
  mayDescribe(state, row.swarm, ctx.principal);
  checkRevision('cluster', input.name, input.expectedRevision, row);
  return {
    events: [{ type: 'cluster.deleted', data: { name: input.name } }],
    reply: () => ({ revision: String(ctx.revision) }),
  };
}

/** Throws unless the caller may say what a swarm shall be; of one that is not registered only operators may. */
export function mayDescribe(state: RegistryState, swarm: string, principal: Principal): void {
  const caller = writer(principal);
  const row = state.swarms.get(swarm);
  if (row) return ownerOrOperator(caller, row, 'say what it shall be');
  if (caller.kind === 'operator') return;
  throw denied(
    `${describePrincipal(caller)} may not describe swarm ${quote(swarm)}, which is not registered: register it first`,
    'NOT_OWNER',
  );
}

function countOf(state: RegistryState, swarm: string): number {
  let count = 0;
  for (const row of state.clusters.values()) if (row.swarm === swarm) count++;
  return count;
}

const tooMany = (swarm: string): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `swarm ${quote(swarm)} has ${MAX_OF_SWARM} clusters, which is the limit`, {
    reason: 'TOO_MANY_CLUSTERS',
  });

export function applyClusterStored(state: RegistryState, data: ClusterStored, at: Stamp): void {
  state.clusters.set(data.name, rowOf(data, state.clusters.get(data.name), at));
}

const rowOf = (data: ClusterStored, before: ClusterRow | undefined, at: Omit<Stamp, 'index'>): ClusterRow => ({
  name: data.name,
  swarm: data.swarm,
  spec: data.spec ?? EMPTY_SPEC,
  generation: Number(data.generation),
  revision: at.revision,
  createdAt: before?.createdAt ?? at.time,
  updatedAt: at.time,
});

export const applyClusterDeleted = (state: RegistryState, { name }: { name: string }): void => {
  state.clusters.delete(name);
};

export const getCluster = (
  state: RegistryState,
  { name }: rpc.GetClusterRequest,
  view: View<unknown>,
): rpc.GetClusterResponse => ({
  cluster: viewOfCluster(mustHaveCluster(state, name)),
  revision: String(view.revision),
});

/** A page in the order of names, after the one that the page token names. Ends early when the answer is full. */
export function listClusters(
  state: RegistryState,
  { swarm, pageSize, pageToken }: rpc.ListClustersRequest,
  view: View<unknown>,
): rpc.ListClustersResponse {
  const rest = [...state.clusters.values()]
    .filter((row) => (swarm === '' || row.swarm === swarm) && row.name > pageToken)
    .sort((a, b) => byText(a.name, b.name));
  const clusters = fitting(rest.slice(0, pageSize || DEFAULT_PAGE).map(viewOfCluster));
  const nextPageToken = clusters.length < rest.length ? (clusters.at(-1)?.name ?? '') : '';
  return { clusters, nextPageToken, revision: String(view.revision) };
}

function mustHaveCluster(state: RegistryState, name: string): ClusterRow {
  const row = state.clusters.get(name);
  if (!row) throw notFound('cluster', name, 'see ListClusters');
  return row;
}

const viewOfCluster = (row: ClusterRow): rpc.Cluster => ({
  name: row.name,
  swarm: row.swarm,
  spec: row.spec,
  generation: String(row.generation),
  revision: String(row.revision),
  createdAt: timestamp(row.createdAt),
  updatedAt: timestamp(row.updatedAt),
});
