import { formatDuration } from '../../../libs/kernel/durations.ts';
import { removeAgent } from './agent.ts';
import { endAttempt, overdue, overdueInQueue } from './attempt.ts';
import { blockedMoves } from './dependency.ts';
import { Plan } from './dispatch.ts';
import { giveBack } from './draining.ts';
import { agentDue, cancelDue, leaseDue, migrationDue, requestDue, taskDue } from './due.ts';
import { groupMoves } from './group-moves.ts';
import { endLease, moveTasks, settled } from './lease.ts';
import { lateMigration } from './migration.ts';
import { asksOf, offerDue } from './offered.ts';
import { outOfTime } from './request.ts';
import { forgettable, retentionDue } from './retention.ts';
import { currentAttempt, waitIsOver } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolState } from './state.ts';

/** Rows that one tick looks at; the rest is due again at once. Keeps a tick's record small. */
const MAX_DUE = 64;

/**
 * When time next changes anything. The due queue holds times before which nothing is due; the real time may be later,
 * because terms do not run while nobody leads. So what surfaces is asked again, and put back where it belongs.
 */
export function nextDue(state: PoolState, epochStart: number, settings: PoolSettings): number | undefined {
  const rows = firstRowDue(state, epochStart, settings);
  const kept = retentionDue(state, settings);
  if (rows === undefined || kept === undefined) return rows ?? kept;
  return Math.min(rows, kept);
}

function firstRowDue(state: PoolState, epochStart: number, settings: PoolSettings): number | undefined {
  for (;;) {
    const at = state.due.peek();
    const key = at === undefined ? undefined : state.due.due(at);
    if (at === undefined || key === undefined) return undefined;
    const real = rowDue(state, key, epochStart, settings);
    if (real === at) return at;
    if (real === undefined) state.due.delete(key);
    else state.due.set(key, real);
  }
}

function rowDue(state: PoolState, key: string, epochStart: number, settings: PoolSettings): number | undefined {
  const { table, id } = parse(key);
  if (table === 'task') {
    const task = state.tasks.get(id);
    return task && taskDue(task, epochStart, settings);
  }
  if (table === 'lease') {
    const lease = state.leases.get(id);
    return lease && leaseDue(lease, epochStart);
  }
  if (table === 'request') {
    const request = state.requests.get(id);
    return request && requestDue(request, epochStart);
  }
  if (table === 'migration') {
    const migration = state.migrations.get(id);
    return migration && migrationDue(migration, epochStart, settings);
  }
  if (table === 'offer') {
    const task = state.tasks.get(id);
    return task && offerDue(task, epochStart, state.stealing.afterMs);
  }
  // At once, as long as there is anything to do.
  if (isTie(table)) return tieEvents(state, table, id, 1).length > 0 ? 0 : undefined;
  const agent = state.agents.get(id);
  return agent && agentDue(agent, epochStart, settings);
}

interface DueRow {
  readonly table: string;
  readonly id: string;
}

function parse(key: string): DueRow {
  const slash = key.indexOf('/');
  return { table: key.slice(0, slash), id: key.slice(slash + 1) };
}

/** What is looked at because something changed, and not because of time. */
const isTie = (table: string): boolean => table === 'group' || table === 'blocked';

/** Events of groups in one record, at most: of about 200 bytes each. */
const MAX_MOVES = 256;

function tieEvents(state: PoolState, table: string, id: string, max: number): PoolEvent[] {
  if (table === 'group') {
    const group = state.groups.get(id);
    return group ? groupMoves(state, group, max) : [];
  }
  const task = state.tasks.get(id);
  return task ? blockedMoves(state, task) : [];
}

/** What time has brought about by `now`. Agents are removed one at a time and alone: each is a plan of its own. */
export function tick(state: PoolState, now: number, epochStart: number, settings: PoolSettings): PoolEvent[] {
  const plan = new Plan(state);
  const events: PoolEvent[] = [];
  const rows = dueRows(state, now, epochStart, settings);
  for (const { table, id } of rows) {
    if (table === 'offer' || isTie(table)) continue;
    if (table === 'agent') {
      const agent = state.agents.get(id);
      if (agent?.state === 'AGENT_STATE_READY' || agent?.state === 'AGENT_STATE_SUSPECT') {
        events.push(...giveBack(state, agent, plan, settings));
        continue;
      }
      if (!agent || events.length > 0) continue;
      const term = formatDuration(settings.removeUnreachableMs);
      return removeAgent(state, agent, `unreachable for ${term}`, settings);
    }
    events.push(...rowEvents(state, table, id, now, epochStart, plan, settings));
  }
  const offered = offers(state, rows, plan);
  // Apart from what is due by time, which may change the same tasks.
  if (events.length === 0 && offered.length === 0) events.push(...tieMoves(state, rows, now, plan));
  return [...events, ...offered, ...settled(state, plan), ...forgettable(state, now, settings)];
}

/** What has waited long, and still waits, may be taken by others. */
function offers(state: PoolState, rows: readonly DueRow[], plan: Plan): PoolEvent[] {
  const tasks = rows.flatMap(({ table, id }) => {
    const task = table === 'offer' && !plan.taken.has(id) ? state.tasks.get(id) : undefined;
    return task ? [task] : [];
  });
  if (tasks.length === 0) return [];
  plan.stealer.offer(tasks.map((task) => asksOf(task, '')));
  return [{ type: 'task.offered', data: { tasks: tasks.map(({ id }) => id) } }];
}

/** What groups and blocked tasks do next. No task is a matter of two of them. */
function tieMoves(state: PoolState, rows: readonly DueRow[], now: number, plan: Plan): PoolEvent[] {
  const events: PoolEvent[] = [];
  for (const { table, id } of rows) {
    if (!isTie(table) || events.length >= MAX_MOVES) continue;
    for (const move of tieEvents(state, table, id, MAX_MOVES - events.length)) {
      const task = move.type === 'task.released' ? state.tasks.get(move.data.task) : undefined;
      if (task && waitIsOver(task, now)) plan.queue(task);
      if (move.type === 'group.ending') for (const held of state.ties.members(id)?.tasks ?? []) plan.unqueue(held);
      events.push(move);
    }
  }
  return events;
}

/** Tasks before leases: whether a lease must drain depends on what has ended. */
function dueRows(state: PoolState, now: number, epochStart: number, settings: PoolSettings): DueRow[] {
  return state.due
    .allDue(now, MAX_DUE)
    .filter((key) => (rowDue(state, key, epochStart, settings) ?? Infinity) <= now)
    .map(parse)
    .sort((a, b) => (a.table < b.table ? 1 : a.table > b.table ? -1 : 0));
}

function rowEvents(
  state: PoolState,
  table: string,
  id: string,
  now: number,
  epochStart: number,
  plan: Plan,
  settings: PoolSettings,
): readonly PoolEvent[] {
  if (table === 'lease') {
    const lease = state.leases.get(id);
    if (!lease) return [];
    if (lease.state === 'LEASE_STATE_DRAINING') return moveTasks(state, lease, plan, settings);
    const reason = `its term of ${formatDuration(lease.termMs)} ran out`;
    return endLease(state, lease, 'LEASE_STATE_EXPIRED', reason, plan);
  }
  if (table === 'migration') {
    const migration = state.migrations.get(id);
    return migration ? lateMigration(migration, plan, settings) : [];
  }
  if (table === 'request') {
    const request = state.requests.get(id);
    return request ? [outOfTime(state, request, plan)] : [];
  }
  const task = state.tasks.get(id);
  if (!task) return [];
  if (!currentAttempt(task)) return [overdueInQueue(task, now, epochStart, plan)];
  const isCancelDue = task.cancelRequestedAt > 0 && cancelDue(task, epochStart, settings) <= now;
  return [endAttempt(task, overdue(task, isCancelDue, now, epochStart, settings), plan, settings)];
}
