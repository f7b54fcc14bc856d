import { timestamp } from '../../../libs/kernel/timestamps.ts';
import { HOST_LABEL, KEEPS_VOLUMES } from '../../../libs/protocol/volumes.ts';
import type { Condition, Placement, Unblocker } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Demand } from './demand.ts';
import { Plan } from './dispatch.ts';
import { leaseDue } from './due.ts';
import { Keepers } from './keepers.ts';
import type { Need } from './need.ts';
import { type Before, rivalsOf } from './rivals.ts';
import type { AgentRow } from './rows.ts';
import type { PoolState } from './state.ts';
import { unblocker } from './unblocker.ts';

/**
 * How the agents of a federation stand to a demand: each is judged by conditions in a fixed order and counts at the first
 * one that it does not meet, so that the numbers add up and say where the agents went. One walk over all agents: it is
 * asked by people, not by the dispatcher, which never looks at them all.
 */

interface Rule {
  readonly name: string;
  readonly value: string;
  readonly text: string;
  readonly holds: (row: AgentRow, busy: number) => boolean;
}

const MAX_EXAMPLES = 3;

/** `before`: what goes first of those that wait. */
export function placementOf(state: PoolState, demand: Demand, before: readonly Before[]): Placement {
  const rules = rulesOf(state, demand);
  const tallies = rules.map(() => ({ count: 0, examples: [] as string[] }));
  let fitting = 0;
  for (const row of state.agents.values()) {
    const failed = rules.findIndex((rule) => !rule.holds(row, busyOf(state, row)));
    const tally = tallies[failed];
    if (!tally) fitting++;
    else if (tally.count++ < MAX_EXAMPLES) tally.examples.push(row.key);
  }
  let left = state.agents.size;
  const conditions = rules.map(({ name, value, text }, i): Condition => {
    const { count, examples } = tallies[i] as (typeof tallies)[number];
    left -= count;
    return { name, value, text, ruledOut: count, left, examples };
  });
  const unblockers = fitting > 0 ? [] : unblockersOf(state, demand, conditions);
  const ahead = before.reduce((sum, { count }) => sum + count, 0);
  const rivals = rivalsOf(state, demand, before);
  return { agents: state.agents.size, conditions, fitting, ahead, rivals, unblockers };
}

const busyOf = (state: PoolState, row: AgentRow): number => state.workers.get(row.key)?.busy ?? 0;

function rulesOf(state: PoolState, demand: Demand): Rule[] {
  const { kind, type } = demand;
  return [
    { name: 'type', value: type, text: `is of type ${type}`, holds: (row) => row.type === type },
    ...(kind === 'task' ? placeOfTask(demand) : placeOfWish(demand)),
    ...ableRules(demand.need),
    ...aliveRules,
    ...(kind === 'wish' ? [{ ...AT_HOME, text: 'is not lent already' }, lendingRule(state, demand)] : []),
    ...stateRules,
    ...limitRules(state, demand),
  ];
}

function lendingRule(state: PoolState, { swarm }: Demand): Rule {
  const { lender } = new Plan(state);
  const text = 'is lent by its swarm, as its lending policy says';
  return { name: 'lending', value: swarm, text, holds: (row) => lender.mayLend(row, swarm) };
}

/** A swarm at its limit gets none, whichever is free. */
function limitRules(state: PoolState, { kind, swarm }: Demand): Rule[] {
  const limits = state.limits.get(swarm);
  const max = (kind === 'task' ? limits?.maxRunning : limits?.maxLeases) ?? 0;
  if (max === 0) return [];
  const used = kind === 'task' ? state.usage.running.of(swarm) : state.usage.leases.of(swarm);
  const text = `may be used by ${swarm}, which ${kind === 'task' ? 'runs' : 'has borrowed'} ${used} of at most ${max}`;
  return [{ name: 'limit', value: String(max), text, holds: () => used < max }];
}

const AT_HOME: Rule = { name: 'lent', value: '', text: 'is not lent to another', holds: (row) => row.lease === '' };

/** A task is for the agents that serve its swarm: its own that are not lent, and those that it has borrowed. */
const placeOfTask = ({ swarm }: Demand): Rule[] => [
  {
    name: 'swarm',
    value: swarm,
    text: `belongs to swarm ${swarm}, or is lent to it`,
    holds: (row) => row.home === swarm || row.serving === swarm,
  },
  { ...AT_HOME, holds: (row) => row.serving === swarm },
];

const placeOfWish = ({ swarm, lender }: Demand): Rule[] => [
  { name: 'own', value: swarm, text: `belongs to another swarm than ${swarm}`, holds: (row) => row.home !== swarm },
  ...(lender === ''
    ? []
    : [{ name: 'lender', value: lender, text: `belongs to ${lender}`, holds: (row: AgentRow) => row.home === lender }]),
];

const ableRules = ({ script, capabilities, labels }: Need): Rule[] => [
  ...(script
    ? [{ name: 'scripts', value: '', text: 'allows scripts', holds: (row: AgentRow) => row.allowScripts }]
    : []),
  ...capabilities.map((value) => ({
    name: 'capability',
    value,
    text: `can ${value}`,
    holds: (row: AgentRow) => row.capabilities.includes(value),
  })),
  ...Object.entries(labels).map(([key, value]) => ({
    name: 'label',
    value: `${key}=${value}`,
    text: VOLUME_TEXTS[key]?.(value) ?? `has the label ${key}=${value}`,
    holds: (row: AgentRow) => row.labels[key] === value,
  })),
];

/** What the labels of agents that keep volumes mean. */
const VOLUME_TEXTS: Readonly<Partial<Record<string, (value: string) => string>>> = {
  [KEEPS_VOLUMES]: () => 'keeps volumes',
  [HOST_LABEL]: (host) => `is on host ${host}, where its volumes are`,
};

const aliveRules: readonly Rule[] = [
  { name: 'reachable', value: '', text: 'can be reached', holds: (row) => row.state !== 'AGENT_STATE_UNREACHABLE' },
  { name: 'ready', value: '', text: 'sends its heartbeats in time', holds: (row) => row.state === 'AGENT_STATE_READY' },
];

const stateRules: readonly Rule[] = [
  { name: 'draining', value: '', text: 'is not about to go home', holds: (row) => !row.draining },
  { name: 'drained', value: '', text: 'is not taken out of service', holds: (row) => row.lameDuck === undefined },
  { name: 'free', value: '', text: 'has a free slot', holds: (row, busy) => busy < row.slots },
];

function unblockersOf(state: PoolState, demand: Demand, conditions: readonly Condition[]): Unblocker[] {
  const { kind, swarm, type } = demand;
  const found: Unblocker[] = [];
  const say = (word: string, agents: number, text: string, at?: number) => {
    if (agents > 0) found.push(unblocker(word, text, { agents, at: at === undefined ? undefined : timestamp(at) }));
  };
  const out = (...names: string[]) =>
    conditions.filter(({ name }) => names.includes(name)).reduce((sum, { ruledOut }) => sum + ruledOut, 0);

  say('limit', out('limit'), `swarm ${swarm} ends something, or its limit is raised`);
  say('finish', out('free'), `a busy agent of type ${type} ends a task`);
  const back = returning(state, demand);
  say('return', back.count, `an agent of type ${type} comes home from a lease`, back.first);
  if (kind === 'task') {
    const lendable = fittingOf(state, rulesOf(state, { ...demand, kind: 'wish' }));
    say('borrow', lendable, `swarm ${swarm} borrows an agent of type ${type} that is free elsewhere`);
  }
  const keepers = keepersOf(state, demand);
  const { lender } = new Plan(state);
  for (const each of keepers.first) {
    const lending = lender.remedy({ home: each.swarm, type }, swarm);
    const text = keepers.remedy(each, lending, type, swarm);
    found.push(unblocker(each.refusal, text, { agents: each.agents, swarm: each.swarm, lending }));
  }
  say('resume', out('drained'), `an agent of type ${type} that was taken out of service is resumed`);
  say('recover', out('reachable', 'ready'), `a silent agent of type ${type} is heard again`);
  say(
    'capability',
    out('capability', 'label', 'scripts'),
    'an agent that lacks only a capability, a label or the leave to run scripts registers with it',
  );
  const where = kind === 'task' ? `for swarm ${swarm}` : `in ${demand.lender === '' ? 'another swarm' : demand.lender}`;
  found.push(unblocker('register', `another agent of type ${type} that fits starts ${where}`));
  return found;
}

/** Agents that could be lent if their swarms did not keep them. */
export function keepersOf(state: PoolState, demand: Demand): Keepers {
  const { lender } = new Plan(state);
  const rules = rulesOf(state, { ...demand, kind: 'wish' }).filter(({ name }) => name !== 'lending');
  const keepers = new Keepers(state);
  for (const row of state.agents.values()) {
    if (!rules.every((rule) => rule.holds(row, busyOf(state, row)))) continue;
    const refusal = lender.refusal(row, demand.swarm);
    if (refusal) keepers.add(row.home, refusal);
  }
  return keepers;
}

/** Agents that would fit if their lease were over, and when the first of these ends unless it is renewed. */
function returning(state: PoolState, demand: Demand): { count: number; first: number | undefined } {
  const rules = [...ableRules(demand.need), ...aliveRules];
  let count = 0;
  let first: number | undefined;
  for (const row of state.agents.values()) {
    const isMeant = demand.kind === 'task' ? row.home === demand.swarm : isLender(demand, row.home);
    if (row.lease === '' || row.type !== demand.type || !isMeant) continue;
    if (!rules.every((rule) => rule.holds(row, 0))) continue;
    count++;
    const lease = state.leases.get(row.lease);
    const due = lease && leaseDue(lease, 0);
    if (due !== undefined && (first === undefined || due < first)) first = due;
  }
  return { count, first };
}

const isLender = ({ swarm, lender }: Demand, home: string): boolean =>
  home !== swarm && (lender === '' || home === lender);

function fittingOf(state: PoolState, rules: readonly Rule[]): number {
  let count = 0;
  for (const row of state.agents.values()) {
    if (rules.every((rule) => rule.holds(row, busyOf(state, row)))) count++;
  }
  return count;
}
