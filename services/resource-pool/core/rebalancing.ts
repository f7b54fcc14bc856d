import { counted } from '../../../libs/kernel/counted.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { Ctx, Machine } from '../../../libs/protocol/machine.ts';
import type {
  AutoRebalanceReport,
  RebalanceMove,
  RebalancePlan,
  RebalanceRequest,
  RebalanceRules,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { registrationOf, requireOperator } from './access.ts';
import { Plan } from './dispatch.ts';
import { settled } from './lease.ts';
import { begin } from './migration.ts';
import { policyOf } from './policy.ts';
import { NO_RULES, type Planned, planFor } from './rebalance.ts';
import { type AgentRow, agentKey, BALANCE_KEY, type BalanceRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolSoft, PoolState } from './state.ts';
import { agentWith } from './whole-rows.ts';

/**
 * Swarms rebalanced: on request, or by the pool itself where the policy says so.
 *
 * By itself it looks so often as the policy says, makes the plan that somebody who asked would get, and carries it out when
 * look after look found something to move: a peak that passes moves nobody. The planner's own hysteresis keeps agents from
 * going to and fro, and each time only so many move: what is missing then is for the next look, which sees what came of it.
 * Each look is an event, so that whoever leads next goes on from it, and what was done last can be told with its reasons.
 */

const DEFAULT_TERM_MS = 600_000;
const DEFAULT_LOOKS = 2;
const DEFAULT_MOVES = 16;

type Carried = { readonly events: readonly PoolEvent[]; readonly plan: RebalancePlan };
type How = Pick<RebalanceRequest, 'termMs' | 'graceMs'>;

export const planRebalance: Machine<PoolShape>['queries']['planRebalance'] = (state, { rules }, view) => ({
  plan: planFor(state, rules ?? NO_RULES).plan,
  automatic: reportOf(state, view.epochStart),
  revision: String(view.revision),
});

export const rebalanceCommands = (settings: PoolSettings): Pick<Machine<PoolShape>['commands'], 'rebalance'> => ({
  rebalance(state, input, ctx) {
    requireOperator(ctx, 'rebalance swarms');
    const rules = input.rules ?? NO_RULES;
    const { events, plan } = carryOut(state, planFor(state, rules), rules, input, ctx, settings);
    return { events, reply: () => ({ plan, revision: String(ctx.revision) }) };
  },
});

export const rebalanceEvents: Pick<Machine<PoolShape>['events'], 'rebalance.looked'> = {
  'rebalance.looked': {
    apply(state, { looks, found, moved }, at) {
      const { last } = state.balances.get(BALANCE_KEY) ?? {};
      const now = moved ? { at: at.time, plan: moved } : last;
      state.balances.set(BALANCE_KEY, { lookedAt: at.time, looks, found, ...(now ? { last: now } : {}) });
    },
    key: () => '',
  },
};

/** When the pool looks next whether swarms are out of balance; undefined = it does not by itself. */
export function balanceDue(state: PoolState, epochStart: number): number | undefined {
  const { rebalance } = policyOf(state);
  if (!rebalance || rebalance.everyMs === 0) return undefined;
  return Math.max(state.balances.get(BALANCE_KEY)?.lookedAt ?? 0, epochStart) + rebalance.everyMs;
}

/** Looks, if it is time to, and moves agents if that is what the policy says. */
export function look(state: PoolState, ctx: Ctx<PoolSoft>, settings: PoolSettings): readonly PoolEvent[] {
  const { rebalance } = policyOf(state);
  if (!rebalance || (balanceDue(state, ctx.epochStart) ?? Infinity) > ctx.now) return [];
  const rules = rebalance.rules ?? NO_RULES;
  const planned = planFor(state, rules, rebalance.maxMoves || DEFAULT_MOVES);
  const { moves } = planned.plan;
  const looks = moves.length === 0 ? 0 : (state.balances.get(BALANCE_KEY)?.looks ?? 0) + 1;
  const needed = rebalance.looks || DEFAULT_LOOKS;
  const found = foundText(planned.plan, looks, needed);
  if (looks === 0 || looks < needed) return [{ type: 'rebalance.looked', data: { looks, found } }];
  const { events, plan } = carryOut(state, planned, rules, rebalance, ctx, settings);
  return [...events, { type: 'rebalance.looked', data: { looks: 0, found, moved: plan } }];
}

/** Carries a plan out, in one record: by leases, or for good by migrations. */
function carryOut(
  state: PoolState,
  { plan: planned, rows }: Planned,
  rules: RebalanceRules,
  how: How,
  ctx: Ctx<PoolSoft>,
  settings: PoolSettings,
): Carried {
  const plan = new Plan(state);
  const isForGood = rules.by === 'REBALANCE_BY_MIGRATION';
  const events: PoolEvent[] = [];
  const moves = planned.moves.flatMap((move, i): RebalanceMove[] => {
    const row = rows[i];
    // A swarm that is gone gets none: it only has tasks left that are about to be cancelled.
    if (!row || ctx.soft.swarms.keyOf(move.to) === undefined) return [];
    const id = ctx.id(isForGood ? 'migration' : 'lease');
    const done: RebalanceMove = { ...move, id };
    const registration = registrationOf(ctx, move.to);
    if (isForGood) events.push(...migrated(state, row, done, registration, how, plan, settings, ctx.trace));
    else events.push(lent(row, done, registration, how, plan));
    return [done];
  });
  return { events: [...events, ...settled(state, plan)], plan: { ...planned, moves } };
}

function lent(
  row: AgentRow,
  { id: lease, from: lender, to: borrower, reason }: RebalanceMove,
  registration: string,
  { termMs }: How,
  plan: Plan,
): PoolEvent {
  const data = {
    ...{ lease, agent: row.key, lender, borrower, termMs: termMs || DEFAULT_TERM_MS, registration },
    ...{ request: '', task: '', why: reason },
  };
  plan.lender.count(data);
  plan.changeRow(agentWith(row, { lease, serving: borrower }));
  return { type: 'lease.granted', data };
}

function migrated(
  state: PoolState,
  row: AgentRow,
  { id: migration, to, reason }: RebalanceMove,
  registration: string,
  { graceMs }: How,
  plan: Plan,
  settings: PoolSettings,
  { traceparent, correlationId }: { readonly traceparent: string; readonly correlationId: string },
): PoolEvent[] {
  const name = state.agents.has(agentKey(to, row.name)) ? `from-${migration.slice('migration-'.length)}` : row.name;
  const data = {
    ...{ migration, agent: row.key, to, name, graceMs, reason, by: 'rebalance', given: true, taken: true },
    ...{ registration, traceparent, correlationId },
  };
  return [{ type: 'migration.proposed', data }, ...begin(state, row, data, plan, settings)];
}

/** What a look saw, for people. */
function foundText({ moves, missingSlots }: RebalancePlan, looks: number, needed: number): string {
  const missing = missingSlots === 0 ? '' : `, and ${slots(missingSlots)} would still be missing`;
  if (moves.length === 0) {
    return missingSlots === 0
      ? 'no swarm is above the band'
      : `${slots(missingSlots)} ${missingSlots === 1 ? 'is' : 'are'} missing, and no agent can be moved`;
  }
  const takers = [...new Set(moves.map(({ to }) => to))].sort().join(', ');
  const what = `${counted(moves.length, 'agent')} for ${takers}${missing}`;
  return looks < needed ? `${what}: seen ${looks} of ${needed} times` : what;
}

const slots = (count: number): string => counted(count, 'slot');

/** What the pool does about it by itself; undefined = nothing, and it never did. */
function reportOf(state: PoolState, epochStart: number): AutoRebalanceReport | undefined {
  const { rebalance: rules } = policyOf(state);
  const row: BalanceRow | undefined = state.balances.get(BALANCE_KEY);
  const due = balanceDue(state, epochStart);
  if (!rules && !row) return undefined;
  const { found = '', looks = 0, last } = row ?? {};
  return {
    ...{ rules, found, looks, moved: last?.plan },
    lookedAt: row && found !== '' ? timestamp(row.lookedAt) : undefined,
    nextAt: due === undefined ? undefined : timestamp(due),
    movedAt: last && timestamp(last.at),
  };
}
