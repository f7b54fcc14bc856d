import { HiveError, quote } from '../../../libs/kernel/errors.ts';
import { keptJson } from '../../../libs/kernel/json.ts';
import { Room } from '../../../libs/protocol/answer-size.ts';
import type { Ctx, EventOf, Stamp, View } from '../../../libs/protocol/machine.ts';
import { describePrincipal, type Principal } from '../../../libs/protocol/principal.ts';
import { thumbprint } from '../../../libs/protocol/token.ts';
import type { SwarmRegistered, SwarmRemoved } from '../../../libs/wire/hivebus/registry/v1/events.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { checkRevision, denied, mustHaveSwarm, ownerOrOperator, writer } from './access.ts';
import { MAIN } from './federation.ts';
import type { SwarmRow } from './rows.ts';
import {
  type Decided,
  deleteSwarm,
  type RegistryShape,
  type RegistrySoft,
  type RegistryState,
  type SwarmFilter,
  setSwarm,
} from './state.ts';
import { viewOf } from './swarm-view.ts';

const DEFAULT_PAGE = 100;
/** In one federation: where it is open, anybody may register as many names as he likes. */
const MAX_SWARMS = 10_000;

interface Owner {
  readonly publicKey: string;
  readonly keyId: string;
}

const OPERATORS_ONLY: Owner = { publicKey: '', keyId: '' };

export function registerSwarm(
  state: RegistryState,
  input: rpc.RegisterSwarmRequest,
  ctx: Ctx,
): Decided<'registerSwarm'> {
  const row = state.swarms.get(input.name);
  if (row) ownerOrOperator(ctx.principal, row, 'update it');
  else mayJoin(state, input.name, ctx.principal);
  if (!row && state.swarms.size >= MAX_SWARMS) throw tooMany();
  checkRevision('swarm', input.name, input.expectedRevision, row);
  const events = registration(row, input, row ? newOwner(row, input) : firstOwner(input, ctx.principal));
  return {
    events,
    reply: () => ({
      created: row === undefined,
      changed: events.length > 0,
      swarmRevision: String(state.swarms.get(input.name)?.revision ?? 0),
      revision: String(ctx.revision),
    }),
  };
}

function registration(
  row: SwarmRow | undefined,
  input: rpc.RegisterSwarmRequest,
  owner: Owner,
): EventOf<RegistryShape>[] {
  const events: EventOf<RegistryShape>[] = [];
  const { name, project, queenEndpoint, region } = input;
  const { publicKey, keyId } = owner;
  // The same lists as before spare the indexes, and memory.
  const tags = keptJson(row?.tags, input.tags);
  const capabilities = keptJson(row?.capabilities, input.capabilities);
  const data = { name, project, queenEndpoint, region, tags, capabilities, publicKey, keyId };
  if (!row || differs(row, data)) events.push({ type: 'swarm.registered', data });
  if (row && row.liveness !== 'LIVENESS_HEALTHY') {
    events.push({ type: 'swarm.liveness', data: { name: row.name, liveness: 'LIVENESS_HEALTHY', phi: 0 } });
  }
  return events;
}

/** `data` has the row's own lists where they are the same. */
const differs = (row: SwarmRow, data: SwarmRegistered): boolean =>
  row.project !== data.project ||
  row.queenEndpoint !== data.queenEndpoint ||
  row.region !== data.region ||
  row.keyId !== data.keyId ||
  row.tags !== data.tags ||
  row.capabilities !== data.capabilities;

/** Who may register a name that is free. */
function mayJoin(state: RegistryState, name: string, principal: Principal): void {
  const caller = writer(principal);
  if (caller.kind === 'operator') return;
  if (caller.kind !== 'swarm' || caller.swarm !== name) {
    throw denied(
      `${describePrincipal(caller)} may not register swarm ${quote(name)}: only swarm:${name} or an operator`,
    );
  }
  if (joinPolicy(state) === 'JOIN_POLICY_OPEN') return;
  const message = `only operators register new swarms in federation ${state.federation}; ask one to register ${quote(name)}`;
  throw denied(`${message} with public_key ${caller.publicKey ?? '(yours)'}`, 'JOIN_POLICY');
}

const tooMany = (): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `${MAX_SWARMS} swarms are registered, which is the limit; deregister some first`,
    {
      reason: 'TOO_MANY_SWARMS',
    },
  );

/** `main` begins as open; every other federation must have been handed its settings before it lets anybody in. */
function joinPolicy({ federation, federations }: RegistryState): rpc.JoinPolicy {
  const settings = federations.get(federation);
  if (settings) return settings.joinPolicy;
  if (federation === MAIN) return 'JOIN_POLICY_OPEN';
  throw new HiveError('UNAVAILABLE', `federation ${federation} has no settings yet; try again`, { retryAfterMs: 100 });
}

/** A free name goes to the key that the operator names, or to the key that signed the swarm's own token. */
function firstOwner({ name, publicKey }: rpc.RegisterSwarmRequest, principal: Principal): Owner {
  if (principal.kind !== 'swarm') return publicKey === '' ? OPERATORS_ONLY : ownerOf(publicKey);
  const own = principal.publicKey;
  if (own === undefined) {
    const message = `the first registration of swarm ${quote(name)} needs a token that carries its key (header jwk)`;
    throw new HiveError('UNAUTHENTICATED', message, { reason: 'TOKEN_WITHOUT_KEY' });
  }
  if (publicKey !== '' && publicKey !== own) {
    const message = `public_key ${publicKey} is not the key ${own} that signed the token: register first, then change it`;
    throw denied(message, 'OTHER_KEY');
  }
  return { publicKey: own, keyId: principal.key };
}

/** An owner may hand its name to another key (rotation), and so may an operator (a lost key). */
const newOwner = (row: SwarmRow, { publicKey }: rpc.RegisterSwarmRequest): Owner =>
  publicKey === '' || publicKey === row.publicKey ? { publicKey: row.publicKey, keyId: row.keyId } : ownerOf(publicKey);

const ownerOf = (publicKey: string): Owner => ({ publicKey, keyId: thumbprint(publicKey) });

export function deregisterSwarm(
  state: RegistryState,
  input: rpc.DeregisterSwarmRequest,
  ctx: Ctx,
): Decided<'deregisterSwarm'> {
  writer(ctx.principal);
  const row = mustHaveSwarm(state, input.name);
  ownerOrOperator(ctx.principal, row, 'deregister it');
  checkRevision('swarm', input.name, input.expectedRevision, row);
  const data: SwarmRemoved = {
    name: input.name,
    reason: 'REMOVAL_REASON_REQUESTED',
    by: describePrincipal(ctx.principal),
  };
  return { events: [{ type: 'swarm.removed', data }], reply: () => ({ revision: String(ctx.revision) }) };
}

export function applyRegistered(state: RegistryState, data: SwarmRegistered, at: Stamp): void {
  const before = state.swarms.get(data.name);
  setSwarm(state, {
    name: data.name,
    project: data.project,
    queenEndpoint: data.queenEndpoint,
    region: data.region,
    tags: keptJson(before?.tags, data.tags),
    capabilities: keptJson(before?.capabilities, data.capabilities),
    publicKey: data.publicKey,
    keyId: data.keyId,
    revision: at.revision,
    registeredAt: before?.registeredAt ?? at.time,
    updatedAt: at.time,
    liveness: before?.liveness ?? 'LIVENESS_HEALTHY',
    livenessSince: before?.livenessSince ?? at.time,
    monitored: before?.monitored ?? false,
    lastHeartbeatAt: before?.lastHeartbeatAt ?? 0,
  });
}

export const applyRemoved = (state: RegistryState, { name }: SwarmRemoved): void => deleteSwarm(state, name);

export const getSwarm = (
  state: RegistryState,
  { name }: { name: string },
  view: View<RegistrySoft>,
): rpc.GetSwarmResponse => ({
  swarm: viewOf(mustHaveSwarm(state, name), view.soft),
  revision: String(view.revision),
});

export const getSwarms = (
  state: RegistryState,
  { names }: { names: readonly string[] },
  view: View<RegistrySoft>,
): { swarms: rpc.Swarm[] } => ({
  swarms: names.flatMap((name) => {
    const row = state.swarms.get(name);
    return row ? [viewOf(row, view.soft)] : [];
  }),
});

/** A page in the order of names, after the one that the page token names. Ends early when the answer is full. */
export function listSwarms(
  state: RegistryState,
  filter: SwarmFilter,
  view: View<RegistrySoft>,
): rpc.ListSwarmsResponse {
  const size = filter.pageSize || DEFAULT_PAGE;
  const room = new Room();
  const swarms: rpc.Swarm[] = [];
  let more = false;
  for (const row of rowsAfter(state, filter.pageToken)) {
    if (!matches(row, filter)) continue;
    const swarm = viewOf(row, view.soft);
    more = swarms.length === size || !room.takes(swarm);
    if (more) break;
    swarms.push(swarm);
  }
  return {
    swarms,
    nextPageToken: more ? (swarms.at(-1)?.name ?? '') : '',
    total: countMatching(state, filter),
    revision: String(view.revision),
  };
}

function* rowsAfter(state: RegistryState, name: string): Generator<SwarmRow> {
  for (const each of name === '' ? state.names : state.names.after(name)) yield state.swarms.get(each) as SwarmRow;
}

function countMatching(state: RegistryState, filter: SwarmFilter): number {
  if (isOpen(filter)) return state.swarms.size;
  let count = 0;
  for (const row of state.swarms.values()) if (matches(row, filter)) count++;
  return count;
}

const isOpen = ({ tags, region, agentType, liveness }: SwarmFilter): boolean =>
  tags.length === 0 && region === '' && agentType === '' && liveness.length === 0;

const matches = (row: SwarmRow, filter: SwarmFilter): boolean =>
  (filter.region === '' || row.region === filter.region) &&
  (filter.liveness.length === 0 || filter.liveness.includes(row.liveness)) &&
  (filter.agentType === '' || row.capabilities.some((each) => each.agentType === filter.agentType)) &&
  filter.tags.every((tag) => row.tags.includes(tag));
