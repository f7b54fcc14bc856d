import { Checks } from '../../../libs/kernel/checks.ts';
import { isPublicKey } from '../../../libs/protocol/token.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { bounded, jsonBytes, MAX_PAYLOAD_BYTES } from './parts.ts';

/** What agents say of the tasks that they were given. */

const MAX_CHECKPOINT_BYTES = 64 * 1024;

const REPORTABLE: readonly rpc.Outcome[] = [
  'OUTCOME_SUCCEEDED',
  'OUTCOME_FAILED',
  'OUTCOME_TERMINAL',
  'OUTCOME_TIMED_OUT',
  'OUTCOME_CANCELLED',
  'OUTCOME_LOST',
];
const REPORTABLE_RULE = `must be one of ${REPORTABLE.join(', ')}`;

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
  signingKey(checks, request.logKey);
  checks.done();
}

export function checkReport(request: rpc.ReportTaskRequest): void {
  const checks = new Checks();
  attempt(checks, request);
  const { outcome } = request;
  checks.rule(REPORTABLE.includes(outcome), 'outcome', outcome, REPORTABLE_RULE);
  bounded(checks, 'result', jsonBytes(request.result), MAX_PAYLOAD_BYTES);
  checks.text('reason', request.reason, 1024);
  signingKey(checks, request.logKey ?? '');
  checks.done();
}

export function checkCheckpoint(request: rpc.SaveCheckpointRequest): void {
  const checks = new Checks();
  attempt(checks, request);
  const { data } = request;
  checks.rule(data !== undefined, 'data', data, 'must be there');
  bounded(checks, 'data', jsonBytes(data), MAX_CHECKPOINT_BYTES);
  checks.done();
}

function signingKey(checks: Checks, key: string): void {
  const rule = 'must be base64url of the 32 bytes of an Ed25519 key, or empty';
  checks.rule(key === '' || isPublicKey(key), 'logKey', key, rule);
}

/** An attempt that is named by its agent. */
export function attempt(
  checks: Checks,
  request: Pick<rpc.ConfirmAssignmentRequest, 'task' | 'attempt' | 'instance'>,
): void {
  checks.name('task', request.task);
  checks.rule(request.attempt >= 1, 'attempt', request.attempt, 'must be at least 1');
  checks.name('instance', request.instance);
}
