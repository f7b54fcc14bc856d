import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import type { Ctx, Decision, Machine } from '../../../libs/protocol/machine.ts';
import { specDigest } from '../../../libs/protocol/spec-digest.ts';
import type { Outcome, ReportTaskRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireAgent } from './access.ts';
import { type Ending, endAttempt } from './attempt.ts';
import { startCharge } from './budget.ts';
import { isClaimed } from './claim.ts';
import { Plan } from './dispatch.ts';
import { settled } from './lease.ts';
import { type AttemptRow, currentAttempt, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolSoft, PoolState } from './state.ts';

/** What an agent says of the attempts that it was given. The attempt's number and instance fence all others off. */

type Commands = Pick<Machine<PoolShape>['commands'], 'confirmAssignment' | 'reportTask'>;

interface Named {
  readonly task: string;
  readonly attempt: number;
  readonly instance: string;
}

export const attemptCommands = (settings: PoolSettings): Commands => ({
  confirmAssignment(state, input, ctx) {
    const { task, attempt } = findAttempt(state, input, ctx, 'confirm a task');
    if (currentAttempt(task) !== attempt) throw stale(task, input);
    const cancel = task.cancelRequestedAt > 0;
    const reply = () => ({
      cancel,
      revision: String(ctx.revision),
      epoch: String(ctx.epoch),
      specDigest: specDigest(task.spec),
      checkpoint: state.checkpoints.get(task.id)?.number ?? 0,
      claimMs: isClaimed(task) ? settings.claimMs : 0,
      dependencies: (task.spec.ties?.after ?? []).map((dependency) => dependency.task),
    });
    if (task.state === 'TASK_STATE_RUNNING') return { events: [], reply };
    const charge = startCharge(state, task, attempt.agent);
    const end = (ending: Ending) => {
      const plan = new Plan(state);
      return [endAttempt(task, ending, plan, settings), ...settled(state, plan)];
    };
    if (cancel) return { events: end({ outcome: 'OUTCOME_CANCELLED', reason: 'cancelled' }), reply };
    if (charge.why !== undefined) {
      const events = end({ outcome: 'OUTCOME_TERMINAL', reason: `RESOURCE_EXHAUSTED: ${charge.why}` });
      return { events, reply: () => ({ ...reply(), cancel: true }) };
    }
    const data = { task: task.id, attempt: attempt.number, logKey: input.logKey };
    return { events: [{ type: 'task.started', data }, ...charge.events], reply };
  },

  reportTask(state, input, ctx) {
    const { task, attempt } = findAttempt(state, input, ctx, 'report a task');
    if (currentAttempt(task) !== attempt) {
      if (!isRepeat(task, attempt, input)) throw stale(task, input);
      return answer(state, task, [], ctx);
    }
    const plan = new Plan(state);
    const { reason } = input;
    const outcome = countsAs(state, attempt, input);
    const result = outcome === 'OUTCOME_SUCCEEDED' ? input.result : undefined;
    const start = begun(task, attempt, input);
    const end = endAttempt(task, { outcome, reason, result, reported: true, begun: start.length > 0 }, plan, settings);
    return answer(state, task, [...start, end, ...settled(state, plan)], ctx);
  },
});

/** An agent that has begun at once need not confirm what it reports before: then its report says what it would have said. */
function begun(task: TaskRow, { number }: AttemptRow, { logKey, ranMs }: ReportTaskRequest): PoolEvent[] {
  if (task.state !== 'TASK_STATE_ASSIGNED' || logKey === undefined) return [];
  return [{ type: 'task.started', data: { task: task.id, attempt: number, logKey, ranMs } }];
}

const answer = (
  state: PoolState,
  task: TaskRow,
  events: readonly PoolEvent[],
  ctx: Ctx,
): Decision<PoolShape, PoolShape['commands']['reportTask']['reply']> => ({
  events,
  reply: () => ({ state: state.tasks.get(task.id)?.state ?? task.state, revision: String(ctx.revision) }),
});

/** The attempt that is named, by its agent. ABORTED when it is not, or no longer, that instance's. */
export function findAttempt(
  state: PoolState,
  input: Named,
  ctx: Ctx<PoolSoft>,
  action: string,
): { task: TaskRow; attempt: AttemptRow } {
  const task = state.tasks.get(input.task);
  if (!task) throw notFound('task', input.task, 'it never was, or it ended long ago and is no longer kept');
  const attempt = task.attempts[input.attempt - 1];
  const agent = attempt && state.agents.get(attempt.agent);
  // The attempts of an agent that left the pool have ended with it.
  if (!agent || attempt.instance !== input.instance) throw stale(task, input);
  requireAgent(ctx, agent, action);
  return { task, attempt };
}

/** What a lame duck does not go on with moves, as what the pool takes from it; so often as that may be (`maxMoves`). */
const countsAs = (state: PoolState, { agent }: AttemptRow, { outcome }: ReportTaskRequest): Outcome =>
  outcome === 'OUTCOME_LOST' && state.agents.get(agent)?.lameDuck ? 'OUTCOME_MOVED' : outcome;

/**
 * Is this the report that was accepted, once more? Its answer may have been lost. That nothing of it runs is no news of an
 * attempt that has moved, either, whether its agent has given it back or the pool has taken it.
 */
const isRepeat = (task: TaskRow, attempt: AttemptRow, report: ReportTaskRequest): boolean =>
  (attempt.outcome === report.outcome || (attempt.outcome === 'OUTCOME_MOVED' && report.outcome === 'OUTCOME_LOST')) &&
  (report.outcome !== 'OUTCOME_SUCCEEDED' || sameJson(task.result, report.result));

export function stale(task: TaskRow, given: Named): HiveError {
  const last = task.attempts.at(-1);
  const current = last
    ? `attempt ${last.number} of instance ${quote(last.instance)}, ${short(last.outcome, 'OUTCOME_') || 'not ended'}`
    : 'that no attempt was made';
  const message =
    `attempt ${given.attempt} of instance ${quote(given.instance)} is not the current one of task ${quote(task.id)} ` +
    `(${short(task.state, 'TASK_STATE_')}): current is ${current}; nothing was accepted, drop it`;
  return new HiveError('ABORTED', message, { retryable: false, reason: 'STALE_ATTEMPT' });
}

const short = (word: string, prefix: string): string =>
  word.endsWith('_UNSPECIFIED') ? '' : word.slice(prefix.length).toLowerCase().replaceAll('_', ' ');
