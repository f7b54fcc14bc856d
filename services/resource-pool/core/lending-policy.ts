import { HiveError, quote } from '../../../libs/kernel/errors.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { LendingPolicy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { keyOfSwarm, registrationOf, requireSwarm } from './access.ts';
import { Plan } from './dispatch.ts';
import { registered } from './rows.ts';
import type { PoolShape, PoolState } from './state.ts';

/** What a swarm lends: to whom, how many, what it keeps, and when it takes an agent back. Its own to say, and journaled. */

const LENDS_ALL: LendingPolicy = {
  swarm: '',
  closed: false,
  to: [],
  maxLent: 0,
  keepPercent: 0,
  recallPriority: 0,
  noticeMs: 0,
  version: '0',
  setBy: '',
};

export const lendingOf = (state: PoolState, swarm: string): LendingPolicy =>
  state.lending.get(swarm)?.policy ?? { ...LENDS_ALL, swarm };

export const lendingCommands: Pick<Machine<PoolShape>['commands'], 'setLendingPolicy'> = {
  setLendingPolicy(state, { policy: given, expectedVersion }, ctx) {
    const { setAt: _, ...wanted } = given as LendingPolicy;
    requireSwarm(ctx, [wanted.swarm], 'say what a swarm lends');
    keyOfSwarm(ctx, wanted.swarm);
    const before = lendingOf(state, wanted.swarm);
    if (expectedVersion !== '0' && expectedVersion !== before.version) throw changed(before, expectedVersion);
    const setBy = describePrincipal(ctx.principal);
    const policy: LendingPolicy = { ...wanted, version: String(Number(before.version) + 1), setBy };
    const registration = registrationOf(ctx, wanted.swarm);
    const plan = new Plan(state);
    plan.lender.changePolicy(policy);
    return {
      events: [{ type: 'lending.set', data: { policy, registration } }, ...plan.assignments()],
      reply: () => ({ policy: lendingOf(state, wanted.swarm), revision: String(ctx.revision) }),
    };
  },
};

export const lendingEvents: Pick<Machine<PoolShape>['events'], 'lending.set' | 'lending.removed'> = {
  'lending.set': {
    apply(state, data, at) {
      const policy = { ...(data.policy as LendingPolicy), setAt: timestamp(at.time) };
      state.lending.set(policy.swarm, { policy, ...registered(data) });
    },
    key: (data) => data.policy?.swarm ?? 'unknown',
  },

  'lending.removed': {
    apply: (state, data) => void state.lending.delete(data.swarm),
    key: (data) => data.swarm,
  },
};

const changed = (policy: LendingPolicy, expected: string): HiveError =>
  new HiveError(
    'ABORTED',
    `the lending policy of swarm ${quote(policy.swarm)} has version ${policy.version} (set by ${quote(policy.setBy)}), ` +
      `not ${expected}; read it and decide again`,
    { retryable: false, reason: 'STALE_VERSION' },
  );
