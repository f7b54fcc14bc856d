import { Checks } from '../../libs/kernel/checks.ts';
import { isPublicKey } from '../../libs/protocol/token.ts';
import type { CommandRules } from '../../libs/rpc/command-check.ts';
import type * as rpc from '../../libs/wire/hivebus/pool/v1/pool.ts';

/**
 * The edge: each request is checked once, all its faults are reported together (INVALID_ARGUMENT), and what comes
 * after never checks again. The rules are those that the proto files state; types and unknown fields were checked by
 * the adaptors.
 */

const MAX_PAYLOAD_BYTES = 256 * 1024;
const MAX_SCRIPT_BYTES = 64 * 1024;
const MAX_PAGE = 1000;
const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const MAX_WAIT_MS = 3_600_000;
const MAX_LABELS = 32;
const MAX_AGENT_LABEL = 63;
const MAX_COST = 1_000_000;
/** What a policy's weights add up to. */
const ALL_WEIGHT = 1000;

const REPORTABLE: readonly rpc.Outcome[] = [
  'OUTCOME_SUCCEEDED',
  'OUTCOME_FAILED',
  'OUTCOME_TERMINAL',
  'OUTCOME_TIMED_OUT',
  'OUTCOME_CANCELLED',
  'OUTCOME_LOST',
];

export function checkRegistration(request: rpc.RegisterAgentRequest): void {
  const checks = new Checks();
  checks.name('swarm', request.swarm);
  checks.name('name', request.name);
  checks.name('type', request.type);
  checks.names('capabilities', request.capabilities);
  checks.range('slots', request.slots, 0, 256);
  checks.name('instance', request.instance);
  checks.nameOrEmpty('region', request.region);
  checks.range('priority', request.priority, 0, 1000);
  labels(checks, 'labels', request.labels, MAX_AGENT_LABEL);
  checks.names('specialisations', request.specialisations);
  checks.range('cost', request.cost, 0, MAX_COST);
  checks.done();
}

export function checkAgentName(request: { swarm: string; name: string; instance?: string }): void {
  const checks = new Checks();
  checks.name('swarm', request.swarm);
  checks.name('name', request.name);
  checks.nameOrEmpty('instance', request.instance ?? '');
  checks.done();
}

export function checkAgentList(request: rpc.ListAgentsRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  checks.nameOrEmpty('type', request.type);
  stated(checks, request.states, 'AGENT_STATE_UNSPECIFIED');
  page(checks, request.pageSize, request.pageToken, /^[-a-z0-9]+\/[-a-z0-9]+$/);
  checks.done();
}

export function checkBorrowing(request: rpc.RequestAgentRequest): void {
  const checks = new Checks();
  borrowing(checks, request);
  checks.done();
}

function borrowing(checks: Checks, request: rpc.RequestAgentRequest): void {
  checks.name('swarm', request.swarm);
  checks.name('type', request.type);
  checks.names('capabilities', request.capabilities);
  const { termMs, lender } = request;
  checks.rule(
    termMs === 0 || (termMs >= 1000 && termMs <= DAY_MS),
    'termMs',
    termMs,
    `must be 1000 to ${DAY_MS}, or 0 for the default`,
  );
  checks.nameOrEmpty('lender', lender);
  checks.rule(lender === '' || lender !== request.swarm, 'lender', lender, 'must be another swarm than the borrower');
  if (request.selector) selector(checks, 'selector', request.selector);
  checks.range('waitMs', request.waitMs, 0, MAX_WAIT_MS);
  checks.range('priority', request.priority, 0, 1000);
}

export function checkId(field: string, id: string): void {
  const checks = new Checks();
  checks.name(field, id);
  checks.done();
}

export function checkLeaseList(request: rpc.ListLeasesRequest | rpc.ListAgentRequestsRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  page(checks, request.pageSize, request.pageToken, /^\d+$/);
  checks.done();
}

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

function selector(checks: Checks, at: string, given: rpc.AgentSelector): void {
  labels(checks, `${at}.labels`, given.labels, MAX_AGENT_LABEL);
  checks.names(`${at}.specialisations`, given.specialisations);
  checks.nameOrEmpty(`${at}.region`, given.region);
}

function labels(checks: Checks, field: string, given: Readonly<Record<string, string>>, maxLength = 256): void {
  const keys = Object.keys(given);
  checks.rule(keys.length <= MAX_LABELS, field, keys.length, `must have at most ${MAX_LABELS} entries`);
  for (const key of keys) {
    checks.name(`${field} key`, key);
    checks.text(`${field}.${key}`, given[key] ?? '', maxLength);
  }
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

export function checkAssignments(request: rpc.ListAssignmentsRequest): void {
  const checks = new Checks();
  checks.name('swarm', request.swarm);
  checks.name('agent', request.agent);
  checks.name('instance', request.instance);
  checks.done();
}

export function checkConfirmation(request: rpc.ConfirmAssignmentRequest): void {
  const checks = new Checks();
  attempt(checks, request);
  const { logKey } = request;
  const rule = 'must be base64url of the 32 bytes of an Ed25519 key, or empty';
  checks.rule(logKey === '' || isPublicKey(logKey), 'logKey', logKey, rule);
  checks.done();
}

export function checkReport(request: rpc.ReportTaskRequest): void {
  const checks = new Checks();
  attempt(checks, request);
  const { outcome } = request;
  checks.rule(REPORTABLE.includes(outcome), 'outcome', outcome, `must be one of ${REPORTABLE.join(', ')}`);
  bounded(checks, 'result', jsonBytes(request.result), MAX_PAYLOAD_BYTES);
  checks.text('reason', request.reason, 1024);
  checks.done();
}

export function checkPolicy({ weights, typicalCost, ageingMs, expectedVersion }: rpc.SetPolicyRequest): void {
  const checks = new Checks();
  const isChange = weights !== undefined || typicalCost > 0 || ageingMs > 0;
  checks.rule(isChange, 'weights', weights, 'or typicalCost or ageingMs must be there');
  if (weights) checkWeights(checks, weights);
  checks.range('typicalCost', typicalCost, 0, MAX_COST);
  checks.range('ageingMs', ageingMs, 0, DAY_MS);
  checkVersion(checks, expectedVersion);
  checks.done();
}

const checkVersion = (checks: Checks, version: string): void =>
  checks.rule(Number.isSafeInteger(Number(version)), 'expectedVersion', version, 'must be a version, or 0');

export function checkSwarm({ swarm }: rpc.GetSwarmLimitsRequest | rpc.GetLendingPolicyRequest): void {
  const checks = new Checks();
  checks.name('swarm', swarm);
  checks.done();
}

export function checkRevocation({ lease, noticeMs, reason }: rpc.RevokeLeaseRequest): void {
  const checks = new Checks();
  checks.name('lease', lease);
  checks.range('noticeMs', noticeMs, 0, MAX_WAIT_MS);
  checks.text('reason', reason, 256);
  checks.done();
}

export function checkLending({ policy, expectedVersion }: rpc.SetLendingPolicyRequest): void {
  const checks = new Checks();
  checks.rule(policy !== undefined, 'policy', policy, 'must be there');
  checkVersion(checks, expectedVersion);
  if (policy) {
    checks.name('policy.swarm', policy.swarm);
    checks.names('policy.to', policy.to, 256);
    checks.rule(!policy.to.includes(policy.swarm), 'policy.to', policy.swarm, 'must name other swarms than the lender');
    checks.range('policy.maxLent', policy.maxLent, 0, 100_000);
    checks.range('policy.keepPercent', policy.keepPercent, 0, 100);
    checks.range('policy.recallPriority', policy.recallPriority, 0, 1000);
    checks.range('policy.noticeMs', policy.noticeMs, 0, MAX_WAIT_MS);
  }
  checks.done();
}

export function checkLimits({ limits, expectedVersion }: rpc.SetSwarmLimitsRequest): void {
  const checks = new Checks();
  checks.rule(limits !== undefined, 'limits', limits, 'must be there');
  checkVersion(checks, expectedVersion);
  if (limits) {
    checks.name('limits.swarm', limits.swarm);
    checks.range('limits.weight', limits.weight, 0, 1_000_000);
    for (const field of ['maxRunning', 'maxQueued', 'maxLeases', 'submitsPerSecond', 'submitBurst'] as const)
      checks.range(`limits.${field}`, limits[field], 0, 100_000);
    checks.range('limits.maxRequests', limits.maxRequests, 0, 10_000);
    const isAlone = limits.submitBurst > 0 && limits.submitsPerSecond === 0;
    checks.rule(!isAlone, 'limits.submitBurst', limits.submitBurst, 'must be 0 without submitsPerSecond');
  }
  checks.done();
}

function checkWeights(checks: Checks, weights: rpc.PlacementWeights): void {
  const each = Object.entries(weights);
  for (const [name, weight] of each) checks.range(`weights.${name}`, weight, 0, ALL_WEIGHT);
  const sum = each.reduce((total, [, weight]) => total + weight, 0);
  checks.rule(sum === ALL_WEIGHT, 'weights', weights, `must add up to ${ALL_WEIGHT}, and add up to ${sum}`);
}

function attempt(checks: Checks, request: Omit<rpc.ConfirmAssignmentRequest, 'logKey'>): void {
  checks.name('task', request.task);
  checks.rule(request.attempt >= 1, 'attempt', request.attempt, 'must be at least 1');
  checks.name('instance', request.instance);
}

const stated = (checks: Checks, states: readonly string[], unspecified: string): void =>
  checks.rule(!states.includes(unspecified), 'states', states, 'must name what is wanted; leave it empty for any');

function page(checks: Checks, size: number, token: string, form: RegExp): void {
  checks.range('pageSize', size, 0, MAX_PAGE);
  checks.rule(token === '' || form.test(token), 'pageToken', token, 'must be the nextPageToken of the page before');
}

/** The value itself is not shown: it is as large as the fault says. */
const bounded = (checks: Checks, field: string, bytes: number, max: number): void =>
  checks.rule(bytes <= max, field, bytes, `is its size in bytes and must be at most ${max}`);

const jsonBytes = (value: unknown): number => (value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value)));

/** A revision as a number. Throws INVALID_ARGUMENT for one that no journal reaches. */
export function revisionOf(field: string, value: string): number {
  const revision = Number(value);
  const checks = new Checks();
  checks.rule(Number.isSafeInteger(revision), field, value, 'must be a revision that was answered, or 0');
  checks.done();
  return revision;
}

/** The swarm that must be registered for a checked command; empty = none. */
export function swarmOf(command: string, input: unknown): string {
  const { swarm = '', spec } = input as Partial<rpc.RegisterAgentRequest & rpc.SubmitTaskRequest>;
  if (command === 'submitTask') return spec?.swarm ?? '';
  return command === 'registerAgent' || command === 'requestAgent' ? swarm : '';
}

/** The rules of each command, for what other replicas forward. */
export const COMMAND_RULES: CommandRules<rpc.ResourcePoolServiceService> = {
  registerAgent: checkRegistration,
  deregisterAgent: checkAgentName,
  requestAgent: checkBorrowing,
  renewLease: ({ lease }) => checkId('lease', lease),
  withdrawAgentRequest: ({ id }) => checkId('id', id),
  releaseLease: ({ lease }) => checkId('lease', lease),
  submitTask: checkSubmission,
  cancelTask: checkCancel,
  listAssignments: checkAssignments,
  confirmAssignment: checkConfirmation,
  reportTask: checkReport,
  revokeLease: checkRevocation,
  setLendingPolicy: checkLending,
  setPolicy: checkPolicy,
  setSwarmLimits: checkLimits,
};
