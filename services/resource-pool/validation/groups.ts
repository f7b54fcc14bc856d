import { Checks } from '../../../libs/kernel/checks.ts';
import type { Criterion, GroupSpec, Phase } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { page, stated } from './parts.ts';
import { checkOrigin, checkSpec } from './tasks.ts';

/** Tasks that belong together: groups, and what people decide on. */

const MAX_TASKS = 1000;
const MAX_PHASES = 32;
const MAX_CRITERIA = 32;
const MAX_VOTES = 32;
const MAX_POINTER = 256;
const MAX_VALUE_CHARACTERS = 1024;
const POINTER = /^(\/([^~/]|~[01])*)*$/;

export function checkGroup({ id, spec, tasks, origin }: rpc.SubmitGroupRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('id', id);
  checkOrigin(checks, origin);
  checks.rule(spec !== undefined, 'spec', spec, 'must be there');
  const isEnough = tasks.length >= 1 && tasks.length <= MAX_TASKS;
  checks.rule(isEnough, 'tasks', tasks.length, `is their number and must be 1 to ${MAX_TASKS}`);
  if (spec) checkGroupSpec(checks, spec, tasks.length);
  if (isEnough) checkTasks(checks, tasks, spec?.swarm ?? '');
  checks.done();
}

function checkTasks(checks: Checks, tasks: readonly rpc.GroupTask[], swarm: string): void {
  const seen = new Set<string>();
  for (const [i, { name, spec }] of tasks.entries()) {
    const own = new Checks(`tasks[${i}].`);
    own.nameOrEmpty('name', name);
    const whole = name || `t${i + 1}`;
    own.rule(!seen.has(whole), 'name', whole, 'must not be there twice');
    seen.add(whole);
    own.rule(spec !== undefined, 'spec', spec, 'must be there');
    if (spec) checkSpec(own, inGroup(spec, swarm));
    checks.found.push(...own.found);
  }
}

/** A task's spec with what it may leave to the group. */
const inGroup = (spec: rpc.TaskSpec, swarm: string): rpc.TaskSpec => ({
  ...spec,
  swarm: spec.swarm || swarm,
  ...(spec.ties ? { ties: { ...spec.ties, group: spec.ties.group || 'group' } } : {}),
});

function checkGroupSpec(checks: Checks, spec: GroupSpec, tasks: number): void {
  checks.name('spec.swarm', spec.swarm);
  checks.text('spec.title', spec.title, 128);
  const { strategy, maxConcurrency, onFailure, adaptive, consensus, phases } = spec;
  const isOne = (wanted: string) => strategy === `GROUP_STRATEGY_${wanted}`;
  checks.range('spec.maxConcurrency', maxConcurrency, 0, isOne('SEQUENTIAL') ? 1 : MAX_TASKS);
  const isGood = onFailure !== 'FAILURE_POLICY_FAIL';
  checks.rule(isGood, 'spec.onFailure', onFailure, 'must be FAILURE_POLICY_CANCEL or FAILURE_POLICY_CONTINUE');
  checks.rule(!adaptive || isOne('ADAPTIVE'), 'spec.adaptive', adaptive, 'must be left out unless it is ADAPTIVE');
  if (adaptive) {
    checks.range('spec.adaptive.initial', adaptive.initial, 0, MAX_TASKS);
    checks.range('spec.adaptive.min', adaptive.min, 0, MAX_TASKS);
    const percent = adaptive.tolerancePercent;
    const isSane = percent === 0 || (percent >= 110 && percent <= 1000);
    checks.rule(isSane, 'spec.adaptive.tolerancePercent', percent, 'must be 110 to 1000, or 0 for the default, 200');
  }
  checks.rule(
    (consensus !== undefined) === isOne('CONSENSUS'),
    'spec.consensus',
    consensus,
    'must be given when the strategy is CONSENSUS, and only then',
  );
  if (consensus) {
    checks.range('spec.consensus.votes', consensus.votes, 2, MAX_VOTES);
    const percent = consensus.thresholdPercent;
    const isMajority = percent === 0 || (percent >= 51 && percent <= 100);
    checks.rule(isMajority, 'spec.consensus.thresholdPercent', percent, 'must be 51 to 100, or 0 for more than half');
    checks.rule(tasks === 1, 'tasks', tasks, 'is their number and must be 1 when the strategy is CONSENSUS');
    checks.rule(phases.length === 0, 'spec.phases', phases.length, 'must be empty when the strategy is CONSENSUS');
  }
  checks.names(
    'spec.phases',
    phases.map(({ name }) => name),
    MAX_PHASES,
  );
  for (const [i, phase] of phases.entries()) checkGate(checks, `spec.phases[${i}].gate`, phase);
}

function checkGate(checks: Checks, at: string, { gate }: Phase): void {
  if (!gate) return;
  checks.range(`${at}.minSucceededPercent`, gate.minSucceededPercent, 0, 100);
  const many = gate.criteria.length;
  checks.rule(many <= MAX_CRITERIA, `${at}.criteria`, many, `must have at most ${MAX_CRITERIA} entries`);
  for (const [i, one] of gate.criteria.entries()) checkCriterion(checks, `${at}.criteria[${i}]`, one);
}

function checkCriterion(checks: Checks, at: string, { task, path, comparison, value }: Criterion): void {
  checks.name(`${at}.task`, task);
  checks.text(`${at}.path`, path, MAX_POINTER);
  checks.rule(POINTER.test(path), `${at}.path`, path, 'must be a JSON Pointer such as /compression/ratio, or empty');
  const isStated = comparison !== 'COMPARISON_UNSPECIFIED';
  checks.rule(isStated, `${at}.comparison`, comparison, 'must be said');
  const isFit = comparison === 'COMPARISON_EQUAL' ? value !== undefined : typeof value === 'number';
  if (isStated) checks.rule(isFit, `${at}.value`, value, 'must be a number, or for COMPARISON_EQUAL any JSON');
  const characters = JSON.stringify(value)?.length ?? 0;
  const isShort = characters <= MAX_VALUE_CHARACTERS;
  checks.rule(isShort, `${at}.value`, characters, `is its length as JSON and must be at most ${MAX_VALUE_CHARACTERS}`);
}

export function checkGroupList(request: rpc.ListGroupsRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  stated(checks, request.states, 'GROUP_STATE_UNSPECIFIED');
  page(checks, request.pageSize, request.pageToken, /^\d+$/);
  checks.done();
}

export function checkDecision({ task, group, phase, reason }: rpc.DecideRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('task', task);
  checks.nameOrEmpty('group', group);
  checks.rule((task === '') !== (group === ''), 'task', task, 'or group must be given, and not both');
  checks.nameOrEmpty('phase', phase);
  checks.rule(phase === '' || group !== '', 'phase', phase, 'must be empty without a group');
  checks.text('reason', reason, 256);
  checks.done();
}
