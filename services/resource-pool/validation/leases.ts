import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { checkVersion, DAY_MS, MAX_WAIT_MS, page, selector } from './parts.ts';

/** Leases, the requests that wait for one, and what their lenders allow. */

export function checkBorrowing(request: rpc.RequestAgentRequest): void {
  const checks = new Checks();
  borrowing(checks, request);
  checks.done();
}

export function borrowing(checks: Checks, request: rpc.RequestAgentRequest): void {
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
  if (request.id === '') return;
  checks.name('id', request.id);
  checks.rule(request.id.startsWith('request-'), 'id', request.id, 'must begin with request-, or be left out');
}

export function checkLeaseList(
  request: rpc.ListLeasesRequest | rpc.ListAgentRequestsRequest | rpc.ListMigrationsRequest,
): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  page(checks, request.pageSize, request.pageToken, /^\d+$/);
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
