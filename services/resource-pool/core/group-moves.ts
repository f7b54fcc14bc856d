import type { Gate, GroupState } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { decideBallot } from './ballot.ts';
import { endUntried, standingOf } from './dependency.ts';
import { EVERY_TASK, judge } from './gate.ts';
import type { GroupRow } from './group-rows.ts';
import { concurrencyOf } from './group-window.ts';
import { currentAttempt, type TaskRow } from './rows.ts';
import type { PoolEvent, PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';
import type { Members } from './ties.ts';

/**
 * What a group does next, from its state alone: it is asked whenever one of its tasks, or of those that these wait for, has
 * changed, and nothing else drives a group. So there is no plan that could be lost, and the same state, at whichever
 * leader and after whichever crash, goes on in the same way. It moves in ticks of its own instead of in the decision that
 * changed the task: who ends a task need not know of groups, and a record stays small however large a group is.
 */
export function groupMoves(state: PoolState, group: GroupRow, max: number): PoolEvent[] {
  const members = state.ties.members(group.id);
  if (!members || group.state === 'GROUP_STATE_PAUSED') return [];
  const tasks = members.tasks.flatMap((id) => state.tasks.get(id) ?? []);
  if (group.state === 'GROUP_STATE_ENDING') return windUp(group, tasks, max);
  const settled = settledBy(group, tasks, members);
  if (settled) return [settled];
  const now = tasks.filter((task) => phaseOf(group, task) === group.phase);
  if (now.some(({ state: at }) => !hasEnded(at))) return giveOut(state, group, now, members, max);
  return passGate(state, group, now);
}

/** Index of the phase that a task belongs to. */
export function phaseOf({ spec }: GroupRow, task: TaskRow): number {
  const name = task.spec.ties?.phase ?? '';
  return name === '' ? 0 : spec.phases.findIndex((phase) => phase.name === name);
}

/** Everything that has not ended is ended; then the group is. */
function windUp({ id, ending = 'GROUP_STATE_FAILED', reason }: GroupRow, tasks: readonly TaskRow[], max: number) {
  const events: PoolEvent[] = [];
  const why = `group ${id}: ${reason}`;
  for (const task of tasks) {
    if (events.length === max || hasEnded(task.state)) continue;
    if (!currentAttempt(task)) events.push(endUntried(task.id, 'TASK_STATE_CANCELLED', why));
    else if (task.cancelRequestedAt === 0)
      events.push({ type: 'task.cancel-requested', data: { task: task.id, by: 'pool', reason: why } });
  }
  if (tasks.every((task) => hasEnded(task.state))) events.push(ended(id, ending, reason));
  return events;
}

const ended = (group: string, state: GroupState, reason: string): PoolEvent => ({
  type: 'group.ended',
  data: { group, state, reason },
});

/** Its votes have decided, or one of its tasks has failed and the others must not go on. */
function settledBy(group: GroupRow, tasks: readonly TaskRow[], members: Members): PoolEvent | undefined {
  const { id, spec } = group;
  if (spec.consensus) {
    const decided = decideBallot(tasks, spec.consensus);
    if (!decided) return undefined;
    const state = decided.won ? 'GROUP_STATE_SUCCEEDED' : 'GROUP_STATE_FAILED';
    return { type: 'group.ending', data: { group: id, state, reason: decided.reason, tallies: decided.tallies } };
  }
  if (!endsAtFailure(group) || members.count('TASK_STATE_FAILED') === 0) return undefined;
  const failed = tasks.find(({ state }) => state === 'TASK_STATE_FAILED');
  const data = { group: id, state: 'GROUP_STATE_FAILED', reason: `task ${failed?.id} failed`, tallies: [] } as const;
  return { type: 'group.ending', data: { ...data, tallies: [] } };
}

const endsAtFailure = ({ spec }: GroupRow): boolean =>
  spec.onFailure === 'FAILURE_POLICY_CANCEL' ||
  (spec.onFailure === 'FAILURE_POLICY_UNSPECIFIED' && spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL');

/** As many tasks of the phase as may be in hand, in their order; those that never can be are ended. */
function giveOut(state: PoolState, group: GroupRow, tasks: readonly TaskRow[], members: Members, max: number) {
  const events: PoolEvent[] = [];
  const isInOrder = group.spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL';
  let room = (concurrencyOf(group) ?? Infinity) - members.inHand;
  for (const task of tasks) {
    if (events.length === max) break;
    if (task.state !== 'TASK_STATE_BLOCKED') continue;
    const standing = standingOf(state, task);
    if (standing.is === 'doomed') events.push(endUntried(task.id, standing.state, standing.reason));
    else if (standing.is === 'free' && room > 0) {
      room--;
      events.push({ type: 'task.released', data: { task: task.id } });
    } else if (isInOrder) break;
  }
  return events;
}

/** All tasks of the phase have ended: its gate says whether the next one begins. */
function passGate(state: PoolState, group: GroupRow, tasks: readonly TaskRow[]): PoolEvent[] {
  const { id, spec } = group;
  const phase = spec.phases[group.phase];
  if (!phase && spec.phases.length > 0) return [ended(id, 'GROUP_STATE_SUCCEEDED', '')];
  const name = phase?.name ?? '';
  if (group.gates.some((gate) => gate.phase === name)) return []; // it waits for a yes
  const gate: Gate = phase?.gate ?? EVERY_TASK;
  const findings = judge(gate, tasks, (task) => state.tasks.get(task));
  const missed = findings.find(({ holds }) => !holds);
  if (!phase) {
    return missed
      ? [ended(id, 'GROUP_STATE_FAILED', `not ${missed.text}: ${missed.found}`)]
      : [ended(id, 'GROUP_STATE_SUCCEEDED', '')];
  }
  const report = { phase: name, findings };
  if (missed) {
    const reason = `no-go after phase ${name}: not ${missed.text}, but ${missed.found}`;
    return [
      { type: 'group.gate', data: { group: id, report: { ...report, state: 'GATE_STATE_NO_GO' } } },
      { type: 'group.ending', data: { group: id, state: 'GROUP_STATE_FAILED', reason, tallies: [] } },
    ];
  }
  const at = gate.approval ? 'GATE_STATE_WAITING' : 'GATE_STATE_GO';
  return [{ type: 'group.gate', data: { group: id, report: { ...report, state: at } } }];
}
