import { Checks } from '../../../libs/kernel/checks.ts';
import { MAX_HOPS } from '../../../libs/protocol/envelope.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { borrowing } from './leases.ts';
import { bounded, DAY_MS, jsonBytes, labels, MAX_PAYLOAD_BYTES, MAX_WAIT_MS, page, selector, stated } from './parts.ts';
import { checkTies } from './ties.ts';

/** Tasks as their submitters see them, and what is explained and watched of them. */

const MAX_SCRIPT_BYTES = 64 * 1024;
const MAX_VOLUMES = 16;
const TIMEOUT_RULE = `must be 100 to ${DAY_MS}, or 0 for the default`;
/** Of a budget, in units. */
const MAX_SPEND = 1_000_000_000;
const WEEK_MS = 7 * DAY_MS;

export function checkSubmission({ id, spec, origin }: rpc.SubmitTaskRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('id', id);
  checkOrigin(checks, origin);
  checks.rule(spec !== undefined, 'spec', spec, 'must be there');
  if (spec) checkSpec(checks, spec);
  checks.done();
}

/** Who delegates; what is replayed is not for who submits to say. */
export function checkOrigin(checks: Checks, origin: rpc.TaskOrigin | undefined): void {
  checks.nameOrEmpty('origin.parent', origin?.parent ?? '');
  const { replayOf = '' } = origin ?? {};
  checks.rule(replayOf === '', 'origin.replayOf', replayOf, 'must be empty; ReplayTask makes replays');
}

/** A task's spec, at `spec.` of the request. */
export function checkSpec(checks: Checks, spec: rpc.TaskSpec): void {
  checks.name('spec.swarm', spec.swarm);
  checks.name('spec.type', spec.type);
  checks.names('spec.capabilities', spec.capabilities);
  bounded(checks, 'spec.payload', jsonBytes(spec.payload), MAX_PAYLOAD_BYTES);
  bounded(checks, 'spec.script', Buffer.byteLength(spec.script), MAX_SCRIPT_BYTES);
  const { timeoutMs } = spec;
  const isLimit = timeoutMs === 0 || (timeoutMs >= 100 && timeoutMs <= DAY_MS);
  checks.rule(isLimit, 'spec.timeoutMs', timeoutMs, TIMEOUT_RULE);
  checks.range('spec.maxAttempts', spec.maxAttempts, 0, 100);
  checks.range('spec.priority', spec.priority, 0, 1000);
  checks.text('spec.title', spec.title, 128);
  labels(checks, 'spec.labels', spec.labels);
  checks.range('spec.retry.backoffMs', spec.retry?.backoffMs ?? 0, 0, MAX_WAIT_MS);
  checks.range('spec.retry.maxBackoffMs', spec.retry?.maxBackoffMs ?? 0, 0, DAY_MS);
  if (spec.limits) checkLimits(checks, spec.limits);
  if (spec.selector) selector(checks, 'spec.selector', spec.selector);
  if (spec.volumes) {
    const { names } = spec.volumes;
    checks.names('spec.volumes.names', names, MAX_VOLUMES);
    const isGood = names.length > 0 && new Set(names).size === names.length;
    checks.rule(isGood, 'spec.volumes.names', names, 'must be there, each once');
  }
  if (spec.budget) {
    const { spend, hops } = spec.budget;
    checks.range('spec.budget.spend', spend, 0, MAX_SPEND);
    checks.range('spec.budget.hops', hops, 0, MAX_HOPS);
    checks.rule(
      spend > 0 || hops > 0,
      'spec.budget',
      spec.budget,
      'must limit spend or hops; leave it out for no limit',
    );
  }
  if (spec.ties) checkTies(checks, spec.ties);
}

function checkLimits(checks: Checks, limits: rpc.TaskTimeLimits): void {
  for (const field of ['queuedMs', 'totalMs'] as const) {
    const limitMs = limits[field];
    const isGood = limitMs === 0 || (limitMs >= 100 && limitMs <= WEEK_MS);
    checks.rule(isGood, `spec.limits.${field}`, limitMs, `must be 100 to ${WEEK_MS}, or 0 for none`);
  }
}

export function checkTaskList(request: rpc.ListTasksRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  checks.nameOrEmpty('group', request.group);
  stated(checks, request.states, 'TASK_STATE_UNSPECIFIED');
  labels(checks, 'labels', request.labels);
  page(checks, request.pageSize, request.pageToken, /^\d+$/);
  checks.done();
}

export function checkReplay({ task, id }: rpc.ReplayTaskRequest): void {
  const checks = new Checks();
  checks.name('task', task);
  checks.nameOrEmpty('id', id);
  checks.done();
}

export function checkDeadLetterList(request: rpc.ListDeadLettersRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  page(checks, request.pageSize, request.pageToken, /^\d+$/);
  checks.done();
}

export function checkCancel(request: rpc.CancelTaskRequest): void {
  const checks = new Checks();
  checks.name('id', request.id);
  checks.text('reason', request.reason, 256);
  checks.done();
}

export function checkWatch(request: rpc.WatchTasksRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  checks.nameOrEmpty('id', request.id);
  stated(checks, request.states, 'TASK_STATE_UNSPECIFIED');
  checks.done();
}

export function checkExplain({ id, wish }: rpc.ExplainRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('id', id);
  checks.rule((id === '') === (wish !== undefined), 'id', id, 'or wish must be given, and not both');
  if (wish) borrowing(checks, wish);
  checks.done();
}

export function checkEvents(request: rpc.WatchEventsRequest): void {
  const checks = new Checks();
  const { fromRevision, since } = request;
  const known = Number.isSafeInteger(Number(fromRevision));
  checks.rule(known, 'fromRevision', fromRevision, 'must be a revision that was answered, or 0');
  const once = since === undefined || fromRevision === '0';
  checks.rule(once, 'since', since, 'must not be given together with fromRevision');
  checks.done();
}
