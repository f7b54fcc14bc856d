import { counted } from '../../../libs/kernel/counted.ts';
import type { Gate, Phase, TaskDependency } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { Unblocker } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { standingOf } from './dependency.ts';
import { EVERY_TASK, judge } from './gate.ts';
import { phaseOf } from './group-moves.ts';
import type { GroupRow } from './group-rows.ts';
import { MAX_NAMED, mostOf, namesOf, waitingGate, whoMay } from './group-view.ts';
import { concurrencyOf } from './group-window.ts';
import type { TaskRow } from './rows.ts';
import type { PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';
import { unblocker } from './unblocker.ts';

/**
 * What lets a task or a group go on that is held back: every condition by itself, and all of them are needed, in the order
 * in which they are likely to come about. What `blockedBy` says is the first of them that is known; this is the way.
 */

/** Empty for one that will be ended, or is about to be given out. */
export function holdsOfTask(task: TaskRow, state: PoolState): Unblocker[] {
  const { ties } = task.spec;
  const group = ties?.group ? state.groups.get(ties.group) : undefined;
  const standing = standingOf(state, task);
  if (standing.is === 'doomed' || group?.state === 'GROUP_STATE_ENDING') return [];
  const waits = standing.is === 'waiting';
  const own = [
    ...(waits ? afterHolds(standing.tasks, ties?.after ?? []) : []),
    ...(waits && standing.needsYes ? [unblocker('approve', `${whoMay(task, ties)} says yes`)] : []),
  ];
  if (!group) return own;
  const turn = turnHolds(group, task, state, standing.is === 'free');
  return [...resumeHolds(group), ...phaseHolds(group, task, state), ...own, ...turn];
}

/** A group that waits for its tasks goes on by itself. */
export function holdsOfGroup(group: GroupRow): Unblocker[] {
  if (group.endedAt > 0 || group.state === 'GROUP_STATE_ENDING') return [];
  const gate = waitingGate(group);
  return [...resumeHolds(group), ...(gate ? [gateHold(group)] : [])];
}

const resumeHolds = ({ id, state, reason }: GroupRow): Unblocker[] =>
  state === 'GROUP_STATE_PAUSED' ? [unblocker('resume-group', `group ${id} is resumed (${reason})`)] : [];

/** Tasks that it depends on, by what becomes of it when they do not succeed. */
function afterHolds(tasks: readonly TaskRow[], after: readonly TaskDependency[]): Unblocker[] {
  const policies = new Map(after.map(({ task, onFailure }) => [task, onFailure]));
  const continues = ({ id }: TaskRow) => policies.get(id) === 'FAILURE_POLICY_CONTINUE';
  const fails = ({ id }: TaskRow) => policies.get(id) === 'FAILURE_POLICY_FAIL';
  const must = (found: readonly TaskRow[], one: string, several: string) =>
    found.length === 0 ? [] : [unblocker('after', `${namesOf(found)} ${found.length === 1 ? one : several}`)];
  const rest = tasks.filter((task) => !continues(task));
  return [
    ...must(
      rest.filter((task) => !fails(task)),
      'succeeds, else this one is cancelled',
      'succeed, else this one is cancelled',
    ),
    ...must(rest.filter(fails), 'succeeds, else this one fails', 'succeed, else this one fails'),
    ...must(tasks.filter(continues), 'ends, in whichever way', 'end, in whichever way'),
  ];
}

/** The phases before the task's. */
function phaseHolds(group: GroupRow, task: TaskRow, state: PoolState): Unblocker[] {
  const { spec, phase: now } = group;
  const [first, ...others] = spec.phases.slice(now, phaseOf(group, task));
  if (!first) return [];
  const current = waitingGate(group) ? gateHold(group) : unblocker('phase', passes(group, first, state));
  if (others.length === 0) return [current];
  const names = others.map(({ name }) => name).join(', ');
  return [
    current,
    unblocker(
      'phase',
      `after that ${others.length === 1 ? 'phase' : 'phases'} ${names} ${others.length === 1 ? 'is' : 'are'} passed`,
    ),
  ];
}

/** How the phase that a group is in ends well. */
function passes(group: GroupRow, { name, gate = EVERY_TASK }: Phase, state: PoolState): string {
  const tasks = membersOf(group, state).filter((task) => phaseOf(group, task) === group.phase);
  const open = tasks.filter((task) => !hasEnded(task.state));
  const ends = open.length === 0 ? '' : `${namesOf(open)} ${open.length === 1 ? 'ends' : 'end'}, and `;
  const yes = gate.approval ? `, and ${whoMay(group, gate)} says yes` : '';
  return `phase ${name} is passed: ${ends}its gate finds that ${asked(gate)}${yes}`;
}

/** What a gate asks, in words. */
function asked(gate: Gate): string {
  const all = judge(gate, [], () => undefined).map(({ text }) => text);
  const more = all.length - MAX_NAMED;
  return all.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${counted(more, 'condition')} more` : '');
}

function gateHold(group: GroupRow): Unblocker {
  const phase = waitingGate(group)?.phase ?? '';
  const gate = group.spec.phases.find(({ name }) => name === phase)?.gate;
  return unblocker('gate', `${whoMay(group, gate)} says yes to going on after phase ${phase}`);
}

/** What of its own phase goes before it; nothing in a phase that has not begun, where that may still change. */
function turnHolds(group: GroupRow, task: TaskRow, state: PoolState, isFree: boolean): Unblocker[] {
  if (phaseOf(group, task) !== group.phase) return [];
  if (group.spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL') return orderHolds(group, task, state);
  const inHand = state.ties.members(group.id)?.inHand ?? 0;
  // One that waits for others is not in line yet.
  if (!isFree || inHand < (concurrencyOf(group) ?? Infinity)) return [];
  return [
    unblocker('turn', `its turn comes in group ${group.id}, which has ${inHand} of at most ${mostOf(group)} in hand`),
  ];
}

/** One after the other. */
function orderHolds(group: GroupRow, task: TaskRow, state: PoolState): Unblocker[] {
  const after = new Set(task.spec.ties?.after.map((each) => each.task));
  const tasks = membersOf(group, state).filter((each) => phaseOf(group, each) === group.phase);
  const before = tasks.slice(
    0,
    tasks.findIndex(({ id }) => id === task.id),
  );
  const open = before.filter(({ id, state: at }) => !hasEnded(at) && !after.has(id));
  if (open.length === 0) return [];
  const [go, end] = open.length === 1 ? ['goes', 'ends'] : ['go', 'end'];
  return [unblocker('turn', `${namesOf(open)}, which ${go} before it in group ${group.id}, ${end}`)];
}

const membersOf = ({ id }: GroupRow, state: PoolState): TaskRow[] =>
  (state.ties.members(id)?.tasks ?? []).flatMap((task) => state.tasks.get(task) ?? []);
