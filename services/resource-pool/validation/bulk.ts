import { Checks } from '../../../libs/kernel/checks.ts';
import { HiveError } from '../../../libs/kernel/errors.ts';
import type { Call } from '../../../libs/protocol/call.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';

/** Calls with many items as a whole; what is wrong with an item is that item's refusal. */

/** So many refusals, however long their texts, fit into an answer over the bus; see refusal.ts. */
const MAX_SUBMISSIONS = 2500;
const MAX_REPORTS = 1000;
/** Each swarm that is not known here is asked for. */
const MAX_SWARMS = 64;

export function checkSubmissions({ tasks }: rpc.SubmitTasksRequest, call: Call): void {
  const checks = new Checks();
  checks.rule(isCount(tasks.length, MAX_SUBMISSIONS), 'tasks', tasks.length, many(MAX_SUBMISSIONS));
  const swarms = new Set(tasks.map(({ spec }) => spec?.swarm)).size;
  checks.rule(swarms <= MAX_SWARMS, 'tasks', swarms, `is how many swarms they name, and must be at most ${MAX_SWARMS}`);
  checks.done();
  requireToken(call, 'submitTasks');
}

export function checkConfirmations({ confirmations }: rpc.ConfirmAssignmentsRequest, call: Call): void {
  const checks = new Checks();
  const count = confirmations.length;
  checks.rule(isCount(count, MAX_REPORTS), 'confirmations', count, many(MAX_REPORTS));
  checks.done();
  requireToken(call, 'confirmAssignments');
}

export function checkReports({ reports }: rpc.ReportTasksRequest, call: Call): void {
  const checks = new Checks();
  checks.rule(isCount(reports.length, MAX_REPORTS), 'reports', reports.length, many(MAX_REPORTS));
  checks.done();
  requireToken(call, 'reportTasks');
}

const isCount = (count: number, max: number): boolean => count >= 1 && count <= max;
const many = (max: number): string => `is their number and must be 1 to ${max}; make several calls`;

/** Said once, and not of each item. */
export function requireToken({ principal }: Call, what: string): void {
  if (principal.kind !== 'anonymous') return;
  throw new HiveError(
    'UNAUTHENTICATED',
    `${what} needs a token: say who you are with \`authorization: Bearer <jwt>\``,
    {
      reason: 'TOKEN_MISSING',
    },
  );
}
