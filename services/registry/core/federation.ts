import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { byText } from '../../../libs/kernel/ordered-list.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { Ctx, Stamp, View } from '../../../libs/protocol/machine.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { checkRevision, onlyOperators, onlyServices } from './access.ts';
import type { FederationRow } from './rows.ts';
import type { Decided, FederationSettings, RegistryState } from './state.ts';

/** The federation whose registry holds the table of all federations. */
export const MAIN = 'main';

const DEFAULT_POLICY: rpc.JoinPolicy = 'JOIN_POLICY_OPEN';

export function initFederation(
  state: RegistryState,
  input: rpc.InitFederationRequest,
  ctx: Ctx,
): Decided<'initFederation'> {
  onlyOperators(ctx.principal, 'create federations');
  onlyInMain(state);
  const wanted = settingsOf(input);
  const row = state.federations.get(input.name);
  if (row && !sameSettings(row, wanted)) {
    throw new HiveError('ALREADY_EXISTS', `federation ${quote(input.name)} exists with other settings; update it`, {
      reason: 'OTHER_SETTINGS',
    });
  }
  return {
    events: row ? [] : [{ type: 'federation.created', data: wanted }],
    reply: () => ({
      federation: federationOf(state, input.name),
      created: row === undefined,
      revision: String(ctx.revision),
    }),
  };
}

export function updateFederation(
  state: RegistryState,
  input: rpc.UpdateFederationRequest,
  ctx: Ctx,
): Decided<'updateFederation'> {
  onlyOperators(ctx.principal, 'update federations');
  onlyInMain(state);
  const row = state.federations.get(input.name);
  if (!row) throw notFound('federation', input.name, 'create it first');
  checkRevision('federation', input.name, input.expectedRevision, row);
  const wanted = settingsOf(input);
  return {
    events: sameSettings(row, wanted) ? [] : [{ type: 'federation.updated', data: wanted }],
    reply: () => ({ federation: federationOf(state, input.name), revision: String(ctx.revision) }),
  };
}

export function adoptFederation(state: RegistryState, input: FederationSettings, ctx: Ctx): Decided<'adoptFederation'> {
  onlyServices(ctx.principal, 'hand over settings');
  const row = state.federations.get(input.name);
  const wanted = settingsOf(input);
  const changed = !row || !sameSettings(row, wanted);
  const type = row ? 'federation.updated' : 'federation.created';
  return { events: changed ? [{ type, data: wanted }] : [], reply: () => ({ changed }) };
}

export function applyFederation(state: RegistryState, data: FederationSettings, at: Stamp): void {
  const createdAt = state.federations.get(data.name)?.createdAt ?? at.time;
  state.federations.set(data.name, { ...settingsOf(data), createdAt, revision: at.revision });
}

export const getFederation = (state: RegistryState, { name }: { name: string }): { federation: rpc.Federation } => ({
  federation: federationOf(state, name),
});

/** Internal: a federation's settings; undefined when it is not known here. */
export const settingsIn = (state: RegistryState, { name }: { name: string }): { settings?: FederationSettings } => {
  const row = state.federations.get(name);
  return row ? { settings: settingsOf(row) } : {};
};

export const listFederations = (state: RegistryState, view: View<unknown>): rpc.ListFederationsResponse => ({
  federations: [...state.federations.values()].sort((a, b) => byText(a.name, b.name)).map(viewOfFederation),
  revision: String(view.revision),
});

export const census = (state: RegistryState, view: View<unknown>): Omit<rpc.GetFederationResponse, 'federation'> => ({
  healthy: state.census.get('LIVENESS_HEALTHY') ?? 0,
  suspect: state.census.get('LIVENESS_SUSPECT') ?? 0,
  unreachable: state.census.get('LIVENESS_UNREACHABLE') ?? 0,
  revision: String(view.revision),
});

function federationOf(state: RegistryState, name: string): rpc.Federation {
  const row = state.federations.get(name);
  if (!row) throw notFound('federation', name, 'see ListFederations');
  return viewOfFederation(row);
}

const viewOfFederation = (row: FederationRow): rpc.Federation => ({
  ...settingsOf(row),
  createdAt: timestamp(row.createdAt),
  revision: String(row.revision),
});

const settingsOf = ({ name, description, joinPolicy, removeAfterMs }: FederationSettings): FederationSettings => ({
  name,
  description,
  joinPolicy: joinPolicy === 'JOIN_POLICY_UNSPECIFIED' ? DEFAULT_POLICY : joinPolicy,
  removeAfterMs,
});

export const sameSettings = (a: FederationSettings, b: FederationSettings): boolean =>
  a.description === b.description && a.joinPolicy === b.joinPolicy && a.removeAfterMs === b.removeAfterMs;

function onlyInMain(state: RegistryState): void {
  if (state.federation === MAIN) return;
  const message = `federations are administered in federation "${MAIN}", the call was for ${quote(state.federation)}`;
  throw new HiveError('FAILED_PRECONDITION', message, { reason: 'NOT_MAIN' });
}
