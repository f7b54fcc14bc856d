import { counted } from '../../../libs/kernel/counted.ts';
import { timestamp as time } from '../../../libs/kernel/timestamps.ts';
import type { GateReport, Group, GroupCounts, Verdict } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { standingOf } from './dependency.ts';
import { phaseOf } from './group-moves.ts';
import type { GateRow, GroupRow } from './group-rows.ts';
import { concurrencyOf } from './group-window.ts';
import type { TaskRow, VerdictRow } from './rows.ts';
import type { PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';

/** Groups as they are answered, and what tasks that are held back wait for, in words. */

const NO_TASKS: GroupCounts = { total: 0, blocked: 0, queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };

export function groupView(row: GroupRow, state: PoolState): Group {
  const members = state.ties.members(row.id);
  return {
    id: row.id,
    spec: row.spec,
    state: row.state,
    counts: row.counts ?? members?.counts ?? NO_TASKS,
    phase: row.endedAt > 0 ? '' : (row.spec.phases[row.phase]?.name ?? ''),
    gates: row.gates.map(gateView),
    concurrency: concurrencyOf(row) ?? 0,
    waitingFor: groupWaitsFor(row, state),
    reason: row.reason,
    result: row.tallies?.find(({ won }) => won)?.result,
    tallies: [...(row.tallies ?? [])],
    submittedAt: time(row.submittedAt),
    endedAt: row.endedAt === 0 ? undefined : time(row.endedAt),
    submittedBy: row.submittedBy,
    traceparent: row.traceparent,
    revision: String(row.revision),
  };
}

export const verdictView = ({ approved, by, reason, at }: VerdictRow): Verdict => ({
  ...{ approved, by, reason },
  at: time(at),
});

const gateView = ({ phase, state, findings, reachedAt, verdict }: GateRow): GateReport => ({
  phase,
  state,
  findings: [...findings],
  verdict: verdict && verdictView(verdict),
  reachedAt: time(reachedAt),
});

/** The gate that waits for somebody's yes; undefined = none does. */
export const waitingGate = ({ gates }: GroupRow): GateRow | undefined =>
  gates.find(({ state }) => state === 'GATE_STATE_WAITING');

function groupWaitsFor(row: GroupRow, state: PoolState): string {
  if (row.endedAt > 0) return '';
  if (row.state === 'GROUP_STATE_PAUSED') return `somebody to resume it: ${row.reason}`;
  const members = state.ties.members(row.id);
  if (row.state === 'GROUP_STATE_ENDING') return `the ends of its last tasks, ${members?.inHand ?? 0} of them`;
  const gate = waitingGate(row);
  if (gate) return `a yes to go on after phase ${gate.phase}, by ${whoMay(row, row.spec.phases[row.phase]?.gate)}`;
  const { blocked = 0, queued = 0, running = 0 } = members?.counts ?? {};
  return `its tasks: ${running} run, ${queued} wait for agents, ${blocked} are held back`;
}

/** Whose yes counts. */
export const whoMay = (
  { spec }: { readonly spec: { readonly swarm: string } },
  needs: { readonly approval?: { readonly operatorOnly: boolean } | undefined } | undefined,
): string => (needs?.approval?.operatorOnly ? 'an operator' : `swarm ${spec.swarm} or an operator`);

/** Tasks that are named in a text. */
export const MAX_NAMED = 3;

/** What holds a blocked task back, in words. */
export function blockedBy(task: TaskRow, state: PoolState): string {
  const { ties } = task.spec;
  const group = ties?.group ? state.groups.get(ties.group) : undefined;
  if (group?.state === 'GROUP_STATE_PAUSED') return `group ${group.id} to be resumed: ${group.reason}`;
  if (group?.state === 'GROUP_STATE_ENDING') return `its end, as that of group ${group.id}: ${group.reason}`;
  if (group && phaseOf(group, task) > group.phase) {
    const { spec, phase } = group;
    const gate = waitingGate(group);
    const at = gate ? 'at whose gate it waits for a yes' : 'which it is in';
    return `phase ${ties?.phase} of group ${group.id}: it follows phase ${spec.phases[phase]?.name}, ${at}`;
  }
  const standing = standingOf(state, task);
  if (standing.is === 'doomed') return `its end: ${standing.reason}`;
  const parts = standing.is === 'waiting' ? [...endsOf(standing.tasks)] : [];
  if (standing.is === 'waiting' && standing.needsYes) parts.push(`a yes by ${whoMay(task, ties)}`);
  if (parts.length > 0) return parts.join(', and ');
  if (!group) return 'nothing: it is about to be given out';
  const inHand = state.ties.members(group.id)?.inHand ?? 0;
  return `its turn in group ${group.id}, which has ${inHand} of at most ${mostOf(group)} in hand`;
}

export function mostOf(group: GroupRow): string {
  const most = concurrencyOf(group);
  return most === undefined ? 'any number of tasks' : counted(most, 'task');
}

function endsOf(tasks: readonly TaskRow[]): string[] {
  const open = tasks.filter(({ state }) => !hasEnded(state));
  return open.length === 0 ? [] : [`the end of ${namesOf(open)}`];
}

/** `tasks a (running), b (blocked), c (blocked) and 2 more` */
export function namesOf(tasks: readonly TaskRow[]): string {
  const named = tasks
    .slice(0, MAX_NAMED)
    .map(({ id, state }) => `${id} (${state.slice('TASK_STATE_'.length).toLowerCase()})`);
  const more = tasks.length > MAX_NAMED ? ` and ${tasks.length - MAX_NAMED} more` : '';
  return `${tasks.length === 1 ? 'task' : 'tasks'} ${named.join(', ')}${more}`;
}
