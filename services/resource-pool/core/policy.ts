import { HiveError, quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { Policy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireOperator } from './access.ts';
import { POLICY_KEY, type PolicyRow } from './rows.ts';
import { DEFAULT_POLICY } from './score.ts';
import type { PoolShape, PoolState } from './state.ts';
import { lookAnew, offerAnew, putPolicy } from './store.ts';

/** The rules by which agents are chosen: journaled, so that every decision can be traced to the version it followed. */

export const policyOf = (state: PoolState): Policy => state.policies.get(POLICY_KEY) ?? DEFAULT_POLICY;

export const policyCommands: Pick<Machine<PoolShape>['commands'], 'setPolicy'> = {
  setPolicy(state, input, ctx) {
    requireOperator(ctx, 'set the policy');
    const before = policyOf(state);
    if (input.expectedVersion !== '0' && input.expectedVersion !== before.version)
      throw changed(before, input.expectedVersion);
    const policy: Policy = {
      weights: input.weights ?? before.weights,
      typicalCost: input.typicalCost || before.typicalCost,
      ageingMs: input.ageingMs || before.ageingMs,
      stealAfterMs: input.stealAfterMs ?? before.stealAfterMs ?? 0,
      rebalance: input.rebalance ?? before.rebalance,
      version: String(Number(before.version) + 1),
      setBy: describePrincipal(ctx.principal),
    };
    return {
      events: [{ type: 'policy.set', data: { policy } }],
      reply: () => ({ policy: policyOf(state), revision: String(ctx.revision) }),
    };
  },
};

export const policyEvents: Pick<Machine<PoolShape>['events'], 'policy.set'> = {
  'policy.set': {
    apply(state, data, at) {
      const { stealAfterMs: before, rebalance } = policyOf(state);
      const policy: PolicyRow = { ...(data.policy as Policy), setAt: new Date(at.time).toISOString() };
      putPolicy(state, policy);
      if ((policy.stealAfterMs ?? 0) !== (before ?? 0)) offerAnew(state);
      if (!sameJson(rebalance ?? null, policy.rebalance ?? null)) lookAnew(state, at.time);
    },
    key: () => '',
  },
};

const changed = (policy: Policy, expected: string): HiveError =>
  new HiveError(
    'ABORTED',
    `the policy has version ${policy.version} (set by ${quote(policy.setBy)}), not ${expected}; read it and decide again`,
    { retryable: false, reason: 'STALE_VERSION' },
  );
