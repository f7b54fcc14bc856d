import type { Hive, Lease, Task } from '../../libs/sdk/index.ts';
import type { Condition, ExplainedChoice, ExplainResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** What the pool says of its decisions, asked while they are fresh. */
type Pool = Pick<Hive['pool'], 'explain'>;

/** An agent that was lent, and why this one. */
export interface Lent {
  readonly lease: string;
  readonly agent: string;
  readonly lender: string;
  readonly borrower: string;
  readonly choice: ExplainedChoice | undefined;
}

/** A task that had to wait, why, and what it got in the end. */
export interface Waited {
  readonly task: string;
  readonly title: string;
  /** All agents that there were. */
  readonly agents: number;
  /** What they were judged by, in this order; each ruled out counts once. */
  readonly conditions: readonly Pick<Condition, 'text' | 'left' | 'ruledOut' | 'examples'>[];
  /** What would have let it go on, the likeliest first. */
  readonly unblockers: readonly string[];
  readonly waitedMs: number;
  /** The agent that it got first, and how that came. */
  readonly agent: string;
  readonly lentBy: string;
  readonly choice: ExplainedChoice | undefined;
}

export async function whyLent(pool: Pool, { id, agent, lender, borrower }: Lease): Promise<Lent> {
  const { choice } = await pool.explain({ id });
  return { lease: id, agent, lender, borrower, choice };
}

/** The first of them that waits, explained while it does; undefined when none is found waiting. */
export async function firstThatWaits(pool: Pool, tasks: readonly Task[]): Promise<ExplainResponse | undefined> {
  const first = tasks.find(({ state, attempts }) => state === 'TASK_STATE_QUEUED' && attempts.length === 0);
  if (!first) return undefined;
  const answer = await pool.explain({ id: first.id });
  return answer.placement ? answer : undefined;
}

/** The same task now that it has had an agent. */
export async function endOfWait(
  pool: Pool,
  before: ExplainResponse,
  lent: readonly Lent[],
): Promise<Waited | undefined> {
  const { task, placement } = before;
  if (!task || !placement) return undefined;
  const after = await pool.explain({ id: task.id });
  const first = after.task?.attempts[0];
  return {
    task: task.id,
    title: task.spec?.title ?? task.id,
    agents: placement.agents,
    conditions: placement.conditions,
    unblockers: placement.unblockers.map(({ text }) => text),
    waitedMs: Date.parse(first?.assignedAt ?? '') - Date.parse(task.submittedAt ?? ''),
    agent: first?.agent ?? '',
    lentBy: lent.find(({ lease }) => lease === first?.lease)?.lender ?? '',
    choice: after.choice,
  };
}
