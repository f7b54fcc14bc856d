import { HiveError, quote } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { TaskSubmitted } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { BudgetUse, TaskBudget } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireMember } from './access.ts';
import { taskKey } from './attempt-events.ts';
import type { BudgetRow, TaskRow } from './rows.ts';
import type { PoolEvent, PoolShape, PoolState } from './state.ts';

/**
 * Budgets stop runaway delegation. A task that has one, and everything that is delegated below it, charge the same row:
 * a unit for each task that is submitted, and what its agent costs for each attempt that starts. A budget within another's
 * reach is a part of that: what is charged to it is charged to all above it, too, at most 16.
 *
 * Nothing is reserved: a task knows what is left when it asks, and may find it used when it comes to it. Reserving what
 * each may use would let the first few tasks hold the budget of all. Tasks without a budget are asked nothing and write
 * nothing.
 */

/** What a new task has of budgets; both are not there for a task that no budget counts for. */
export type Lineage = Pick<TaskRow, 'budget' | 'depth'>;

type Submitter = Parameters<typeof requireMember>[0];

/** Who asks for units of a budget, for people, and how many. */
interface Asked {
  readonly what: string;
  readonly units: number;
}

/**
 * What a task submitted by `parent` has. RESOURCE_EXHAUSTED (OVER_BUDGET) when that is more than is left; `asked`: together
 * with the tasks that are submitted with it.
 */
export function requireBudget(
  state: PoolState,
  ctx: Submitter,
  id: string,
  own: TaskBudget | undefined,
  parent: string,
  asked: Asked = { what: `task ${quote(id)}`, units: 1 },
): Lineage {
  const from = state.tasks.get(parent);
  const above = from?.budget;
  if (from && above !== undefined) {
    requirePart(ctx, state, from);
    const depth = (from.depth ?? 0) + 1;
    for (const row of chain(state, above)) {
      if (row.hops > 0 && depth - row.depth > row.hops) throw tooDeep(row, depth - row.depth);
      requireLeft(row, { ...asked, units: Math.max(asked.units, own?.spend ?? 0) });
    }
    return { budget: own ? id : above, depth };
  }
  if (!own) return {};
  return { budget: id, depth: 0 };
}

/** The same of a task that was accepted. */
export function lineageOf(state: PoolState, { task, spec, origin }: TaskSubmitted): Lineage {
  const above = state.tasks.get(origin?.parent ?? '');
  const depth = above?.budget === undefined ? 0 : (above.depth ?? 0) + 1;
  if (spec?.budget) return { budget: task, depth };
  return above?.budget === undefined ? {} : { budget: above.budget, depth };
}

/** What is written of a new task's use; nothing for one that no budget counts for. */
export const submissionCharge = ({ budget }: Lineage, task: string): PoolEvent[] =>
  budget === undefined ? [] : [charged(budget, task, 0, 1)];

/** What an attempt that starts uses. Undefined = it must not start, and `why` is the reason. */
export function startCharge(state: PoolState, task: TaskRow, agent: string): { events: PoolEvent[]; why?: string } {
  const units = task.budget === undefined ? 0 : (state.agents.get(agent)?.cost ?? 0);
  if (task.budget === undefined || units === 0) return { events: [] };
  for (const row of chain(state, task.budget)) {
    const left = leftOf(row);
    if (units > left) return { events: [], why: overBudget(row, units, `an attempt on agent ${agent}`) };
  }
  return { events: [charged(task.budget, task.id, task.attempts.length, units)] };
}

export const budgetEvents: Pick<Machine<PoolShape>['events'], 'budget.charged'> = {
  'budget.charged': {
    apply(state, { budget, units }) {
      for (const row of chain(state, budget)) state.budgets.set(row.task, { ...row, used: row.used + units });
    },
    key: (data, state) => taskKey(state, data.task),
  },
};

/** The budget that a new task's row brings with it. */
export function newBudget(state: PoolState, row: TaskRow): BudgetRow | undefined {
  if (row.budget !== row.id || !row.spec.budget) return undefined;
  const parent = state.tasks.get(row.origin?.parent ?? '')?.budget ?? '';
  const { spend, hops } = row.spec.budget;
  return { task: row.id, parent, spend, hops, used: 0, depth: row.depth ?? 0 };
}

/** Of the budget that counts for a task, the nearest. */
export function budgetUse(state: PoolState, task: TaskRow): BudgetUse | undefined {
  const row = task.budget === undefined ? undefined : state.budgets.get(task.budget);
  return row && { task: row.task, budget: { spend: row.spend, hops: row.hops }, used: row.used };
}

/** A budget and those that it is a part of, the nearest first. */
function chain(state: PoolState, budget: string): BudgetRow[] {
  const rows: BudgetRow[] = [];
  for (let row = state.budgets.get(budget); row; row = state.budgets.get(row.parent)) rows.push(row);
  return rows;
}

const charged = (budget: string, task: string, attempt: number, units: number): PoolEvent => ({
  type: 'budget.charged',
  data: { budget, task, attempt, units },
});

const leftOf = ({ spend, used }: BudgetRow): number => (spend === 0 ? Infinity : Math.max(0, spend - used));

/** Who uses a budget has a part in the task that it comes from: its swarm, or an agent that has worked at it. */
function requirePart(ctx: Submitter, state: PoolState, { spec, attempts, id }: TaskRow): void {
  const { principal } = ctx;
  const isWorker =
    principal.kind === 'agent' &&
    attempts.some(({ agent }) => {
      const row = state.agents.get(agent);
      return row?.home === principal.swarm && row.name === principal.name && row.ownerKey === principal.key;
    });
  if (!isWorker) requireMember(ctx, spec.swarm, `use the budget of task ${quote(id)}`);
}

function requireLeft(row: BudgetRow, { units, what }: Asked): void {
  if (units > leftOf(row)) throw over(overBudget(row, units, what), 'budget.spend', units);
}

const overBudget = ({ task, spend, used }: BudgetRow, asked: number, what: string): string =>
  `the budget of task ${quote(task)} is ${spend} units, of which ${used} are used; ${what} asks for ${asked}`;

const tooDeep = ({ task, hops }: BudgetRow, asked: number): HiveError =>
  over(
    `the budget of task ${quote(task)} is ${hops} hops of delegation; this would be number ${asked}`,
    'budget.hops',
    asked,
  );

const over = (message: string, field: string, asked: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${message}; do it without, or submit the whole with a larger budget`, {
    retryable: false,
    reason: 'OVER_BUDGET',
    violations: [{ field, value: String(asked), rule: 'must be at most what is left of the budget' }],
  });
