import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { nearest } from '../../../libs/kernel/nearest.ts';
import type { Ctx } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { AgentRow, Registered } from './rows.ts';
import type { PoolSoft } from './state.ts';

/** Who may do what. Operators may do all; a swarm is proved by the key that the registry bound to its name. */

type Context = Ctx<PoolSoft>;

/** The key that owns a swarm. NOT_FOUND when it is not registered, UNAVAILABLE while the registry was not heard yet. */
export function keyOfSwarm(ctx: Context, swarm: string): string {
  const key = ctx.soft.swarms.keyOf(swarm);
  if (key !== undefined) return key;
  if (ctx.soft.swarms.synced) throw unregistered(ctx, swarm);
  throw new HiveError(
    'UNAVAILABLE',
    `the pool has not heard from the registry yet, so swarm ${quote(swarm)} is not known`,
    {
      retryAfterMs: 500,
      reason: 'REGISTRY_NOT_HEARD',
    },
  );
}

function unregistered(ctx: Context, swarm: string): HiveError {
  const close = nearest(swarm, ctx.soft.swarms.names());
  const register = `register it first: hivebus register-swarm ${swarm}`;
  return notFound('swarm', swarm, close ? `did you mean ${close}? If not, ${register}` : register);
}

/** Which registration of a swarm something belongs to that begins now, as a part of its event. */
export function registrationOf(ctx: Context, swarm: string): string {
  return ctx.soft.swarms.registrationOf(swarm) ?? '';
}

/** Lets pass who acts for one of the swarms: its queen, or an operator. */
export function requireSwarm(ctx: Context, swarms: readonly string[], action: string): void {
  const { principal } = ctx;
  if (principal.kind === 'operator') return;
  if (principal.kind === 'swarm' && swarms.includes(principal.swarm)) {
    if (keyOfSwarm(ctx, principal.swarm) === principal.key) return;
  }
  throw denied(ctx, action, `swarm ${swarms.map(quote).join(' or ')}`);
}

/** Refuses a swarm what was begun under another registration of its name, whoever had it then; operators may. */
export function requireRegistration(ctx: Context, swarm: string, row: Registered, action: string): void {
  if (ctx.principal.kind === 'operator' || row.registration === undefined) return;
  if (row.registration === registrationOf(ctx, swarm)) return;
  const who = describePrincipal(ctx.principal);
  const why = `it belongs to an earlier registration of swarm ${quote(swarm)}, and ends with that; an operator may`;
  throw new HiveError('PERMISSION_DENIED', `${who} may not ${action}: ${why}`, { reason: 'OTHER_REGISTRATION' });
}

/** Lets pass the swarm's queen, any of its agents, or an operator. */
export function requireMember(ctx: Context, swarm: string, action: string): void {
  const { principal } = ctx;
  if (principal.kind !== 'agent' || principal.swarm !== swarm) return requireSwarm(ctx, [swarm], action);
  if (keyOfSwarm(ctx, swarm) !== principal.key) throw denied(ctx, action, `swarm ${quote(swarm)}`);
}

/** Lets pass the agent itself, its home swarm's queen, or an operator: by the key that it registered with. */
export function requireAgent(ctx: Context, agent: Pick<AgentRow, 'home' | 'name' | 'ownerKey'>, action: string): void {
  const { principal } = ctx;
  if (principal.kind === 'operator') return;
  const isOwn = principal.kind === 'swarm' && principal.swarm === agent.home;
  const isItself = principal.kind === 'agent' && principal.swarm === agent.home && principal.name === agent.name;
  if ((isOwn || isItself) && principal.key === agent.ownerKey) return;
  throw denied(ctx, action, `agent ${quote(`${agent.home}/${agent.name}`)}, its swarm`);
}

/** Lets pass operators alone. */
export function requireOperator(ctx: Context, action: string): void {
  if (ctx.principal.kind === 'operator') return;
  if (ctx.principal.kind === 'anonymous') throw denied(ctx, action, '');
  const who = describePrincipal(ctx.principal);
  throw new HiveError('PERMISSION_DENIED', `${who} may not ${action}: only an operator, by its own key`);
}

/** Lets pass the pool's own shell. */
export function requireService(ctx: Context, action: string): void {
  if (ctx.principal.kind !== 'service') throw denied(ctx, action, 'the pool itself');
}

function denied(ctx: Context, action: string, owner: string): HiveError {
  if (ctx.principal.kind === 'anonymous') {
    return new HiveError('UNAUTHENTICATED', `to ${action} needs a token, and none was sent`, {
      reason: 'TOKEN_MISSING',
    });
  }
  const who = describePrincipal(ctx.principal);
  return new HiveError('PERMISSION_DENIED', `${who} may not ${action}: only ${owner} or an operator, by its own key`);
}
