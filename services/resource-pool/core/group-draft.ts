import { invalid, quote, type Violation } from '../../../libs/kernel/errors.ts';
import { isName } from '../../../libs/kernel/names.ts';
import { nearest } from '../../../libs/kernel/nearest.ts';
import type { GroupSpec, TaskTies } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { GroupTask } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { withDefaults } from './defaults.ts';
import type { Draft } from './dependency.ts';

/** A group's request as tasks of the pool: names become ids, and what the group says of its tasks is written into them. */

const NO_TIES: TaskTies = { after: [], group: '', phase: '', vote: 0 };

/** The id of a group's task. */
const memberId = (group: string, name: string): string => `${group}-${name}`;

/** INVALID_ARGUMENT with every fault: names, swarms, phases, votes, what criteria look at, the order of a sequence. */
export function draftsOf(group: string, spec: GroupSpec, tasks: readonly GroupTask[]): Draft[] {
  const faults: Violation[] = [];
  const names = tasks.map(({ name }, i) => name || `t${i + 1}`);
  const isMember = new Set(names);
  const idOf = (task: string) => (isMember.has(task) ? memberId(group, task) : task);
  const drafts = tasks.flatMap(({ spec: given }, i): Draft[] => {
    if (!given) return [];
    const at = `tasks[${i}].spec.`;
    const ties = given.ties ?? NO_TIES;
    if (given.swarm !== '' && given.swarm !== spec.swarm)
      faults.push({ field: `${at}swarm`, value: quote(given.swarm), rule: `must be the group's, ${spec.swarm}` });
    if (ties.group !== '' && ties.group !== group)
      faults.push({ field: `${at}ties.group`, value: quote(ties.group), rule: 'must be empty, or this group' });
    const phase = phaseNamed(ties.phase, spec, `${at}ties.phase`, faults);
    const after = ties.after.map((each) => ({ ...each, task: idOf(each.task) }));
    const id = memberId(group, names[i] as string);
    const rule = `makes the id ${quote(id)}, which must be a name of at most 63 characters`;
    if (!isName(id)) faults.push({ field: `tasks[${i}].name`, value: quote(names[i]), rule });
    const whole = withDefaults({ ...given, swarm: spec.swarm, ties: { ...ties, after, group, phase } });
    return [{ id, spec: whole, at }];
  });
  if (spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL') requireOrder(drafts, faults);
  if (faults.length > 0) throw invalid(faults);
  return spec.consensus ? votesOf(drafts, spec.consensus.votes) : drafts;
}

/** The phase that a task names, or the first one. */
export function phaseNamed(given: string, { phases }: GroupSpec, field: string, faults: Violation[]): string {
  const names = phases.map(({ name }) => name);
  if (given === '') return names[0] ?? '';
  if (names.includes(given)) return given;
  const close = nearest(given, names);
  const has = names.length === 0 ? 'the group has none' : `it has ${names.join(', ')}`;
  const rule = `must be a phase of the group; ${close ? `did you mean ${close}?` : has}`;
  faults.push({ field, value: quote(given), rule });
  return given;
}

/** In a sequence a task that waits for a later one would wait for ever. */
function requireOrder(drafts: readonly Draft[], faults: Violation[]): void {
  const places = new Map(drafts.map(({ id }, i) => [id, i]));
  for (const [i, { spec, at }] of drafts.entries()) {
    for (const [j, { task }] of (spec.ties?.after ?? []).entries()) {
      if ((places.get(task) ?? -1) <= i) continue;
      const rule = 'must come before it, since the group is SEQUENTIAL';
      faults.push({ field: `${at}ties.after[${j}].task`, value: quote(task), rule });
    }
  }
}

/** The one task as often as there are votes. */
const votesOf = ([task]: readonly Draft[], votes: number): Draft[] =>
  Array.from({ length: task ? votes : 0 }, (_, i) => {
    const { id, spec, at } = task as Draft;
    const ties = { ...(spec.ties ?? NO_TIES), vote: i + 1 };
    return { id: `${id}-${i + 1}`, spec: { ...spec, ties }, at };
  });

/** The group's spec with ids for the names of tasks. INVALID_ARGUMENT when a criterion looks at what it cannot. */
export function withIds(group: string, spec: GroupSpec, drafts: readonly Draft[]): GroupSpec {
  const faults: Violation[] = [];
  const phaseOf = new Map(drafts.map((draft) => [draft.id, draft.spec.ties?.phase ?? '']));
  const order = spec.phases.map(({ name }) => name);
  const phases = spec.phases.map((phase, i) => {
    const criteria = phase.gate?.criteria.map((one, j) => {
      const task = phaseOf.has(memberId(group, one.task)) ? memberId(group, one.task) : one.task;
      const at = phaseOf.get(task);
      const rule = 'must be a task of the request, of this phase or one before';
      if (at === undefined || order.indexOf(at) > i)
        faults.push({ field: `spec.phases[${i}].gate.criteria[${j}].task`, value: quote(one.task), rule });
      return { ...one, task };
    });
    return phase.gate && criteria ? { ...phase, gate: { ...phase.gate, criteria } } : phase;
  });
  if (faults.length > 0) throw invalid(faults);
  return { ...spec, phases };
}
