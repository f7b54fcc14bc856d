import fc from 'fast-check';
import { expect } from 'vitest';
import type { FailurePolicy, GroupSpec, TaskDependency, TaskTies } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { standingOf } from './dependency.ts';
import type { Pool } from './fixtures.ts';
import { groupRequest, type Named, ties } from './group-fixtures.ts';
import { phaseOf } from './group-moves.ts';
import type { GroupRow } from './group-rows.ts';
import { concurrencyOf } from './group-window.ts';
import { currentAttempt, type TaskRow } from './rows.ts';
import type { PoolEvent, PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';

/** Groups in the random histories of pool.model.test.ts: what is done with them, and what must always hold of them. */

const GATE = { minSucceededPercent: 0, criteria: [] };
const BALLOT = { votes: 3, thresholdPercent: 0, tie: 'TIE_RULE_MOST_THEN_FIRST', hearAll: false } as const;
const KINDS: readonly Partial<GroupSpec>[] = [
  { strategy: 'GROUP_STRATEGY_PARALLEL' },
  { strategy: 'GROUP_STRATEGY_PARALLEL', maxConcurrency: 2, onFailure: 'FAILURE_POLICY_CANCEL' },
  { strategy: 'GROUP_STRATEGY_SEQUENTIAL' },
  { strategy: 'GROUP_STRATEGY_SEQUENTIAL', onFailure: 'FAILURE_POLICY_CONTINUE' },
  { strategy: 'GROUP_STRATEGY_ADAPTIVE', maxConcurrency: 3 },
  { strategy: 'GROUP_STRATEGY_CONSENSUS', consensus: BALLOT },
  {
    phases: [
      { name: 'one', gate: { ...GATE, minSucceededPercent: 1, approval: { operatorOnly: false } } },
      { name: 'two', gate: { ...GATE, minSucceededPercent: 50 } },
    ],
  },
];

const policy = fc.constantFrom<FailurePolicy>(
  'FAILURE_POLICY_UNSPECIFIED',
  'FAILURE_POLICY_FAIL',
  'FAILURE_POLICY_CONTINUE',
);
const groupIndex = fc.nat({ max: 8 });

const named = <T>(does: T) => fc.constant(does);

/** Steps with groups, to be mixed with others. */
export const groupSteps = [
  {
    weight: 3,
    arbitrary: fc.record({
      do: named('group' as const),
      swarm: fc.constantFrom('a', 'b', 'c'),
      kind: fc.nat({ max: KINDS.length - 1 }),
      /** The task that submits it. */
      parent: fc.option(fc.nat({ max: 40 })),
      /** Of each task: which one before it depends on, and how; whether it needs a yes. */
      tasks: fc.array(fc.record({ back: fc.nat({ max: 3 }), policy, approval: fc.boolean() }), {
        minLength: 1,
        maxLength: 5,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: named('depend' as const), on: fc.nat({ max: 40 }), policy }) },
  { weight: 2, arbitrary: fc.record({ do: named('join' as const), group: groupIndex }) },
  { weight: 2, arbitrary: fc.record({ do: named('pause' as const), group: groupIndex }) },
  { weight: 2, arbitrary: fc.record({ do: named('go-on' as const), group: groupIndex }) },
  { weight: 1, arbitrary: fc.record({ do: named('stop' as const), group: groupIndex }) },
  { weight: 3, arbitrary: fc.record({ do: named('decide' as const), task: fc.nat({ max: 40 }), yes: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: named('gate' as const), group: groupIndex, yes: fc.boolean() }) },
  { weight: 6, arbitrary: fc.record({ do: named('settle' as const) }) },
] as const;

type ArbitraryOf<S> = S extends { readonly arbitrary: fc.Arbitrary<infer T> } ? T : never;
export type GroupStep = ArbitraryOf<(typeof groupSteps)[number]>;

type Member = Extract<GroupStep, { do: 'group' }>['tasks'][number];

export class GroupModel {
  readonly #pool: Pool;
  readonly #submitted: string[];
  /** How tasks ended, what was approved, and where groups are, as events say. */
  readonly #ended = new Map<string, string>();
  readonly #approved = new Set<string>();
  readonly #halted = new Set<string>();
  readonly #endedGroups = new Set<string>();

  constructor(pool: Pool, submitted: string[]) {
    this.#pool = pool;
    this.#submitted = submitted;
  }

  run(one: GroupStep): void {
    const { run } = this.#pool;
    const options = { principal: this.#pool.operator, now: this.#pool.now };
    switch (one.do) {
      case 'group': {
        const id = `g${[...this.#pool.run.events].filter(({ event }) => event.type === 'group.submitted').length}`;
        const request = groupRequest(id, membersOf(one.tasks, one.kind), { ...KINDS[one.kind], swarm: one.swarm });
        const origin = one.parent === null ? undefined : { parent: this.#task(one.parent), replayOf: '' };
        this.#submitted.push(...run.execute('submitGroup', { ...request, origin }, options).tasks);
        return;
      }
      case 'depend':
        return this.#submit({ after: [{ task: this.#task(one.on), onFailure: one.policy }] });
      case 'join':
        return this.#submit({ group: this.#group(one.group) });
      case 'pause':
        return void run.execute('pauseGroup', { id: this.#group(one.group), reason: '' }, options);
      case 'go-on':
        return void run.execute('resumeGroup', { id: this.#group(one.group) }, options);
      case 'stop':
        return void run.execute('cancelGroup', { id: this.#group(one.group), reason: '' }, options);
      case 'decide':
        return this.#decide({ task: this.#task(one.task) }, one.yes);
      case 'gate':
        return this.#decide({ group: this.#group(one.group) }, one.yes);
      case 'settle':
        return this.#pool.pass(0);
    }
  }

  #submit(change: Partial<TaskTies>): void {
    const id = `t${this.#submitted.length}`;
    const swarm = this.#pool.run.state.groups.get(change.group ?? '')?.spec.swarm ?? 'a';
    this.#pool.submit(id, { swarm, maxAttempts: 2, timeoutMs: 8000, ties: ties(change) });
    this.#submitted.push(id);
  }

  #decide(what: { task?: string; group?: string }, approve: boolean): void {
    const said = { task: '', group: '', phase: '', approve, reason: '', ...what };
    this.#pool.run.execute('decide', said, { principal: this.#pool.operator, now: this.#pool.now });
  }

  #task(index: number): string {
    return this.#submitted[index % Math.max(1, this.#submitted.length)] ?? 'none';
  }

  #group(index: number): string {
    const all = [...this.#pool.run.state.groups.keys()];
    return all[index % Math.max(1, all.length)] ?? 'none';
  }

  /** Whoever waits for somebody gets a yes. */
  unblock(): void {
    const { state } = this.#pool.run;
    for (const group of state.groups.values()) {
      if (group.state === 'GROUP_STATE_PAUSED') this.#pool.run.execute('resumeGroup', { id: group.id });
      const isGoing = group.endedAt === 0 && group.state !== 'GROUP_STATE_ENDING';
      const waits = group.gates.some((gate) => gate.state === 'GATE_STATE_WAITING');
      if (isGoing && waits) this.#decide({ group: group.id }, true);
    }
    for (const { id, spec, state: at, verdict } of [...state.tasks.values()])
      if (at === 'TASK_STATE_BLOCKED' && spec.ties?.approval && !verdict) this.#decide({ task: id }, true);
    this.#pool.pass(0);
  }

  /** Each event is looked at with what the events before it said. */
  saw(event: PoolEvent): void {
    const { state } = this.#pool.run;
    if (event.type === 'task.approved') this.#approved.add(event.data.task);
    if (event.type === 'task.ended') this.#ended.set(event.data.task, event.data.state);
    if (event.type === 'group.paused' || event.type === 'group.ending') this.#halted.add(event.data.group);
    if (event.type === 'group.resumed') this.#halted.delete(event.data.group);
    if (event.type === 'group.ended') {
      expect(this.#endedGroups.has(event.data.group), `${event.data.group} ended twice`).toBe(false);
      this.#endedGroups.add(event.data.group);
      for (const task of membersIn(state, event.data.group)) expect(this.#ended.has(task.id)).toBe(true);
    }
    const spec = event.type === 'task.assigned' ? state.tasks.get(event.data.task)?.spec : undefined;
    if (event.type === 'task.assigned' && spec?.ties) this.#checkAssigned(event.data.task, spec.ties);
  }

  #checkAssigned(task: string, { after, approval, group }: TaskTies): void {
    for (const dependency of after) expect(allows(dependency, this.#ended.get(dependency.task))).toBe(true);
    if (approval) expect(this.#approved.has(task), `${task} was given out without a yes`).toBe(true);
    expect(this.#halted.has(group) || this.#endedGroups.has(group), `${group} is halted`).toBe(false);
  }

  check(): void {
    const { state, nextDue } = this.#pool.run;
    const tasks = [...state.tasks.values()];
    expect(state.ties.blocked).toBe(tasks.filter((task) => task.state === 'TASK_STATE_BLOCKED').length);
    const kept = tasks.filter((task) => hasEnded(task.state) && !isNeeded(state, task));
    expect(state.endedTasks.size).toBe(kept.length);
    for (const group of state.groups.values()) this.#checkGroup(state, group, nextDue() === 0);
  }

  #checkGroup(state: PoolState, group: GroupRow, isUnsettled: boolean): void {
    const tasks = membersIn(state, group.id);
    const open = tasks.filter((task) => !hasEnded(task.state));
    if (group.endedAt > 0) return expect(open).toEqual([]);
    const inHand = open.filter((task) => task.state !== 'TASK_STATE_BLOCKED').length;
    expect(state.ties.members(group.id)?.inHand).toBe(inHand);
    const most = group.spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL' ? 1 : group.spec.maxConcurrency || Infinity;
    expect(inHand, `${group.id} has more in hand than its bound`).toBeLessThanOrEqual(most);
    const voters = tasks.flatMap((task) => (task.spec.ties?.vote ? (currentAttempt(task)?.agent ?? []) : []));
    expect(new Set(voters).size).toBe(voters.length);
    if (group.state !== 'GROUP_STATE_RUNNING') {
      expect(open.some((task) => task.state === 'TASK_STATE_QUEUED')).toBe(false);
      return;
    }
    if (isUnsettled || group.spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL') return;
    if (inHand >= (concurrencyOf(group) ?? Infinity)) return;
    for (const task of open) {
      const isFree = phaseOf(group, task) === group.phase && standingOf(state, task).is === 'free';
      expect(task.state === 'TASK_STATE_BLOCKED' && isFree, `${task.id} waits for nothing`).toBe(false);
    }
  }
}

/** The dependencies and names of a group's tasks: each may depend on one before it. */
function membersOf(tasks: readonly Member[], kind: number): Named[] {
  const { consensus, phases = [] } = KINDS[kind] ?? {};
  return tasks.slice(0, consensus ? 1 : tasks.length).map(({ back, policy: onFailure, approval }, i): Named => {
    const after = back > 0 && i - back >= 0 ? [{ task: `t${i - back + 1}`, onFailure }] : [];
    const phase = phases.length > 0 && i >= 2 ? 'two' : '';
    const change: Partial<TaskSpec> = {
      maxAttempts: 2,
      timeoutMs: 8000,
      retry: { backoffMs: i * 500, maxBackoffMs: 0 },
    };
    return [
      '',
      { ...change, ties: ties({ after, phase, ...(approval ? { approval: { operatorOnly: false } } : {}) }) },
    ];
  });
}

const membersIn = (state: PoolState, group: string): TaskRow[] =>
  [...state.tasks.values()].filter((task) => task.spec.ties?.group === group);

const allows = ({ onFailure }: TaskDependency, ended: string | undefined): boolean =>
  ended === 'TASK_STATE_SUCCEEDED' || (ended !== undefined && onFailure === 'FAILURE_POLICY_CONTINUE');

/** Is an ended task kept for others? */
function isNeeded(state: PoolState, { id, spec }: TaskRow): boolean {
  const group = state.groups.get(spec.ties?.group ?? '');
  if (group && group.endedAt === 0) return true;
  const others = [...state.tasks.values()].filter((task) => !hasEnded(task.state));
  return others.some((task) => task.spec.ties?.after.some(({ task: needed }) => needed === id));
}
