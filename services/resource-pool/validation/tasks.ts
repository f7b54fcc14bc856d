import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { borrowing } from './leases.ts';
import { bounded, DAY_MS, jsonBytes, labels, MAX_PAYLOAD_BYTES, MAX_WAIT_MS, page, selector, stated } from './parts.ts';

/** Tasks as their submitters see them, and what is explained and watched of them. */

const MAX_SCRIPT_BYTES = 64 * 1024;
const WEEK_MS = 7 * DAY_MS;

export function checkSubmission({ id, spec }: rpc.SubmitTaskRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('id', id);
  checks.rule(spec !== undefined, 'spec', spec, 'must be there');
  if (spec) checkSpec(checks, spec);
  checks.done();
}

function checkSpec(checks: Checks, spec: rpc.TaskSpec): void {
  checks.name('spec.swarm', spec.swarm);
  checks.name('spec.type', spec.type);
  checks.names('spec.capabilities', spec.capabilities);
  bounded(checks, 'spec.payload', jsonBytes(spec.payload), MAX_PAYLOAD_BYTES);
  bounded(checks, 'spec.script', Buffer.byteLength(spec.script), MAX_SCRIPT_BYTES);
  const { timeoutMs } = spec;
  checks.rule(
    timeoutMs === 0 || (timeoutMs >= 100 && timeoutMs <= DAY_MS),
    'spec.timeoutMs',
    timeoutMs,
    `must be 100 to ${DAY_MS}, or 0 for the default`,
  );
  checks.range('spec.maxAttempts', spec.maxAttempts, 0, 100);
  checks.range('spec.priority', spec.priority, 0, 1000);
  checks.text('spec.title', spec.title, 128);
  labels(checks, 'spec.labels', spec.labels);
  checks.range('spec.retry.backoffMs', spec.retry?.backoffMs ?? 0, 0, MAX_WAIT_MS);
  checks.range('spec.retry.maxBackoffMs', spec.retry?.maxBackoffMs ?? 0, 0, DAY_MS);
  for (const field of ['queuedMs', 'totalMs'] as const) {
    const limitMs = spec.limits?.[field] ?? 0;
    const isGood = limitMs === 0 || (limitMs >= 100 && limitMs <= WEEK_MS);
    checks.rule(isGood, `spec.limits.${field}`, limitMs, `must be 100 to ${WEEK_MS}, or 0 for none`);
  }
  if (spec.selector) selector(checks, 'spec.selector', spec.selector);
}

export function checkTaskList(request: rpc.ListTasksRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  stated(checks, request.states, 'TASK_STATE_UNSPECIFIED');
  labels(checks, 'labels', request.labels);
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
