import { counted } from '../../../libs/kernel/counted.ts';
import { HiveError, invalid, quote } from '../../../libs/kernel/errors.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { SwarmLimits } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { keyOfSwarm, requireOperator } from './access.ts';
import { Plan } from './dispatch.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape, PoolState } from './state.ts';

/** What a swarm may use of the pool: set by operators, journaled, and in force from the next decision on. */

const NO_LIMITS: SwarmLimits = {
  swarm: '',
  weight: 0,
  maxRunning: 0,
  maxQueued: 0,
  maxLeases: 0,
  maxRequests: 0,
  submitsPerSecond: 0,
  submitBurst: 0,
  version: '0',
  setBy: '',
};

export const limitsOf = (state: PoolState, swarm: string): SwarmLimits =>
  state.limits.get(swarm) ?? { ...NO_LIMITS, swarm };

export const limitsCommands = (settings: PoolSettings): Pick<Machine<PoolShape>['commands'], 'setSwarmLimits'> => ({
  setSwarmLimits(state, input, ctx) {
    requireOperator(ctx, "set a swarm's limits");
    const wanted = input.limits as SwarmLimits;
    withinFederation(wanted, settings);
    const before = limitsOf(state, wanted.swarm);
    // Of a swarm that has left, what was set may still be changed.
    if (before.version === '0') keyOfSwarm(ctx, wanted.swarm);
    if (input.expectedVersion !== '0' && input.expectedVersion !== before.version)
      throw changed(before, input.expectedVersion);
    const { setAt: _, ...rest } = wanted;
    const setBy = describePrincipal(ctx.principal);
    const limits: SwarmLimits = { ...rest, version: String(Number(before.version) + 1), setBy };
    const plan = new Plan(state);
    plan.quotas.change(limits);
    return {
      events: [{ type: 'limits.set', data: { limits } }, ...plan.assignments()],
      reply: () => ({ limits: limitsOf(state, wanted.swarm), revision: String(ctx.revision) }),
    };
  },
});

export const limitsEvents: Pick<Machine<PoolShape>['events'], 'limits.set'> = {
  'limits.set': {
    apply(state, data, at) {
      const limits = data.limits as SwarmLimits;
      state.limits.set(limits.swarm, { ...limits, setAt: timestamp(at.time) });
      if (limits.submitsPerSecond === 0) state.rates.delete(limits.swarm);
    },
    key: (data) => data.limits?.swarm ?? 'unknown',
  },
};

function withinFederation(limits: SwarmLimits, settings: PoolSettings): void {
  const most = {
    maxRunning: settings.maxAgents,
    maxQueued: settings.maxQueued,
    maxRequests: settings.maxRequests,
  } as const;
  const over = Object.entries(most).filter(([field, max]) => limits[field as keyof typeof most] > max);
  if (over.length === 0) return;
  const rule = (max: number) => `must be at most ${max}, which is the federation's`;
  throw invalid(
    over.map(([field, max]) => {
      const value = String(limits[field as keyof typeof most]);
      return { field: `limits.${field}`, value, rule: rule(max) };
    }),
  );
}

const changed = (limits: SwarmLimits, expected: string): HiveError =>
  new HiveError(
    'ABORTED',
    `the limits of swarm ${quote(limits.swarm)} have version ${limits.version} (set by ${quote(limits.setBy)}), not ` +
      `${expected}; read them and decide again`,
    { retryable: false, reason: 'STALE_VERSION' },
  );

/**
 * Rate limits by the generic cell rate algorithm: one number a swarm says when, at the allowed rate, its next task would
 * be due. A task is admitted while that is not further ahead than the burst. Microseconds, integers.
 */
const everyUs = ({ submitsPerSecond }: SwarmLimits): number => Math.trunc(1_000_000 / submitsPerSecond);

/** Refuses tasks that come too early, or are too many to wait. More than the burst must find all of it unused. */
export function requireRoomToSubmit(state: PoolState, swarm: string, now: number, tasks = 1): void {
  const limits = state.limits.get(swarm);
  if (!limits) return;
  const { maxQueued, submitsPerSecond, submitBurst } = limits;
  if (maxQueued > 0 && state.usage.queued.of(swarm) + tasks > maxQueued)
    throw full(swarm, `${counted(maxQueued, 'task')} of it may wait`, 1000);
  if (submitsPerSecond === 0) return;
  const burst = submitBurst || submitsPerSecond;
  const burstUs = (burst - Math.min(burst, tasks)) * everyUs(limits);
  const earlyUs = (state.rates.get(swarm)?.dueUs ?? 0) - burstUs - now * 1000;
  if (earlyUs > 0)
    throw full(swarm, `it submits more than ${counted(submitsPerSecond, 'task')} a second`, Math.ceil(earlyUs / 1000));
}

/** A task was submitted. */
export function countSubmission(state: PoolState, swarm: string, now: number): void {
  const limits = state.limits.get(swarm);
  if (!limits || limits.submitsPerSecond === 0) return;
  const dueUs = Math.max(state.rates.get(swarm)?.dueUs ?? 0, now * 1000) + everyUs(limits);
  state.rates.set(swarm, { dueUs });
}

/** Refuses a request that is one too many to wait. */
export function requireRoomToAsk(state: PoolState, swarm: string): void {
  const max = state.limits.get(swarm)?.maxRequests ?? 0;
  if (max > 0 && state.usage.requests.of(swarm) >= max)
    throw full(swarm, `${counted(max, 'request')} of it ${max === 1 ? 'waits' : 'wait'}`, 1000);
}

export const noMoreLeases = (state: PoolState, swarm: string): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `swarm ${quote(swarm)} has borrowed ${counted(state.usage.leases.of(swarm), 'agent')}, which is its limit; give one back first`,
    { retryable: false, reason: 'OVER_LIMIT' },
  );

const full = (swarm: string, what: string, retryAfterMs: number): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `swarm ${quote(swarm)} is at its limit: ${what}; nothing was accepted, try again in ${retryAfterMs} ms`,
    { retryable: true, retryAfterMs, reason: 'OVER_LIMIT' },
  );
