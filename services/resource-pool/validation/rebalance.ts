import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { DAY_MS, MAX_WAIT_MS } from './parts.ts';

const MAX_PERCENT = 1000;

/** The band of a rebalancing, and how it is carried out. */
export function checkRebalance(request: rpc.PlanRebalanceRequest | rpc.RebalanceRequest): void {
  const checks = new Checks();
  const { rules } = request;
  if (rules) {
    const { lowPercent, highPercent, reservePercent } = rules;
    checks.nameOrEmpty('rules.type', rules.type);
    for (const field of ['lowPercent', 'highPercent', 'reservePercent'] as const)
      checks.range(`rules.${field}`, rules[field], 0, MAX_PERCENT);
    const isBand = (lowPercent || 30) + (reservePercent || 10) <= (highPercent || 90);
    checks.rule(
      isBand,
      'rules.highPercent',
      highPercent || 90,
      'must be at least lowPercent and reservePercent together',
    );
  }
  if ('termMs' in request) {
    const { termMs, graceMs } = request;
    const isTerm = termMs === 0 || (termMs >= 1000 && termMs <= DAY_MS);
    checks.rule(isTerm, 'termMs', termMs, `must be 1000 to ${DAY_MS}, or 0 for the default`);
    checks.range('graceMs', graceMs, 0, MAX_WAIT_MS);
  }
  checks.done();
}
