import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { checkVersion, DAY_MS, MAX_COST } from './parts.ts';
import { checkAutoRebalance } from './rebalance.ts';

/** The placement policy and the limits of swarms. */

/** What a policy's weights add up to. */
const ALL_WEIGHT = 1000;

export function checkPolicy(request: rpc.SetPolicyRequest): void {
  const { weights, typicalCost, ageingMs, stealAfterMs, rebalance, expectedVersion } = request;
  const checks = new Checks();
  const given = [weights, typicalCost || undefined, ageingMs || undefined, stealAfterMs, rebalance];
  const isChange = given.some((each) => each !== undefined);
  checks.rule(isChange, 'weights', weights, 'or typicalCost, ageingMs, stealAfterMs or rebalance must be there');
  if (weights) checkWeights(checks, weights);
  checks.range('typicalCost', typicalCost, 0, MAX_COST);
  checks.range('ageingMs', ageingMs, 0, DAY_MS);
  checks.range('stealAfterMs', stealAfterMs ?? 0, 0, DAY_MS);
  checkVersion(checks, expectedVersion);
  if (rebalance) {
    const own = new Checks('rebalance.');
    checkAutoRebalance(own, rebalance);
    checks.found.push(...own.found);
  }
  checks.done();
}

function checkWeights(checks: Checks, weights: rpc.PlacementWeights): void {
  const each = Object.entries(weights);
  for (const [name, weight] of each) checks.range(`weights.${name}`, weight, 0, ALL_WEIGHT);
  const sum = each.reduce((total, [, weight]) => total + weight, 0);
  checks.rule(sum === ALL_WEIGHT, 'weights', weights, `must add up to ${ALL_WEIGHT}, and add up to ${sum}`);
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
