import { HiveError, invalid, notFound, quote, type Violation } from '../../../libs/kernel/errors.ts';
import { nearest } from '../../../libs/kernel/nearest.ts';
import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireDependencies } from './dependency.ts';
import { phaseNamed } from './group-draft.ts';
import type { GroupRow } from './group-rows.ts';
import type { PoolState } from './state.ts';

/** Tasks of one group, at most. */
const MAX_MEMBERS = 1000;

/** Refuses ties of a single task that lead nowhere, and names the group's first phase where the task names none. */
export function tied(state: PoolState, id: string, spec: TaskSpec): TaskSpec {
  if (!spec.ties) return spec;
  requireDependencies(state, [{ id, spec, at: 'spec.' }], (task) => task);
  if (spec.ties.group === '') return spec;
  const group = groupFor(state, spec);
  const faults: Violation[] = [];
  const phase = phaseNamed(spec.ties.phase || currentPhase(group), group.spec, 'spec.ties.phase', faults);
  if (group.spec.swarm !== spec.swarm)
    faults.push({ field: 'spec.swarm', value: quote(spec.swarm), rule: `must be the group's, ${group.spec.swarm}` });
  if (faults.length > 0) throw invalid(faults);
  const isOver = group.spec.phases.findIndex(({ name }) => name === phase) < group.phase;
  if (phase !== '' && isOver) throw closed(group, `its phase ${phase} is over`);
  return { ...spec, ties: { ...spec.ties, phase } };
}

const currentPhase = ({ spec, phase }: GroupRow): string => spec.phases[phase]?.name ?? '';

function groupFor(state: PoolState, { ties, swarm }: TaskSpec): GroupRow {
  const id = ties?.group ?? '';
  const group = state.groups.get(id);
  if (!group) {
    const own = [...state.groups.values()].filter((row) => row.spec.swarm === swarm).map((row) => row.id);
    const close = nearest(id, own);
    throw notFound('group', id, close ? `did you mean ${close}?` : 'submit the group first, with its first tasks');
  }
  const members = state.ties.members(id);
  if (!members || group.state === 'GROUP_STATE_ENDING') throw closed(group, 'it has ended, or is about to');
  if (group.spec.consensus) throw closed(group, 'it decides by consensus, and all of its votes are there');
  if (group.phase > 0 && group.phase >= group.spec.phases.length) throw closed(group, 'its last phase is over');
  if (members.tasks.length >= MAX_MEMBERS) throw closed(group, `it has ${MAX_MEMBERS} tasks, which is the limit`);
  return group;
}

const closed = ({ id }: GroupRow, why: string): HiveError =>
  new HiveError('FAILED_PRECONDITION', `group ${quote(id)} takes no more tasks: ${why}`, { reason: 'GROUP_CLOSED' });
