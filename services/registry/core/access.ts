import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { describePrincipal, type Principal } from '../../../libs/protocol/principal.ts';
import type { SwarmRow } from './rows.ts';
import type { RegistryState } from './state.ts';

/** The caller, when it may change things at all. */
export function writer(principal: Principal): Exclude<Principal, { kind: 'anonymous' }> {
  if (principal.kind !== 'anonymous') return principal;
  throw new HiveError('UNAUTHENTICATED', 'this needs a token: send `authorization: Bearer <jwt>`', {
    reason: 'TOKEN_MISSING',
  });
}

export function onlyOperators(principal: Principal, what: string): void {
  if (writer(principal).kind === 'operator') return;
  throw denied(`only operators may ${what}, not ${describePrincipal(principal)}`);
}

/** For commands that never come from outside. */
export function onlyServices(principal: Principal, what: string): void {
  if (writer(principal).kind === 'service') return;
  throw denied(`only the registry itself may ${what}, not ${describePrincipal(principal)}`);
}

/** The swarm's owner (by its key, not by its name alone) or an operator. */
export function ownerOrOperator(principal: Principal, row: SwarmRow, what: string): void {
  const caller = writer(principal);
  if (caller.kind === 'operator') return;
  if (caller.kind === 'swarm' && caller.swarm === row.name && row.keyId !== '' && caller.key === row.keyId) return;
  const key = 'key' in caller ? ` (key ${caller.key})` : '';
  throw denied(
    `${describePrincipal(caller)}${key} may not ${what}: swarm ${quote(row.name)} belongs to ` +
      `${row.keyId === '' ? 'operators only' : `key ${row.keyId}`}`,
    'NOT_OWNER',
  );
}

/** Throws unless the caller may send heartbeats for the swarm; gives the swarm's row. */
export function mayBeat(state: RegistryState, swarm: string, principal: Principal): SwarmRow {
  writer(principal);
  const row = mustHaveSwarm(state, swarm);
  ownerOrOperator(principal, row, 'send its heartbeats');
  return row;
}

export function mustHaveSwarm(state: RegistryState, name: string): SwarmRow {
  const row = state.swarms.get(name);
  if (!row) throw notFound('swarm', name, `it is not registered in federation ${state.federation}`);
  return row;
}

/** `expected` is a request's expected_revision: "0" = any. */
export function checkRevision(
  kind: string,
  name: string,
  expected: string,
  row: { revision: number } | undefined,
): void {
  if (expected === '0' || expected === '' || Number(expected) === row?.revision) return;
  const now = row ? `is at revision ${row.revision}` : 'does not exist';
  throw new HiveError('ABORTED', `${kind} ${quote(name)} ${now}, expected was revision ${expected}; read it again`, {
    reason: 'STALE_REVISION',
  });
}

export const denied = (message: string, reason = 'DENIED'): HiveError =>
  new HiveError('PERMISSION_DENIED', message, { reason });
