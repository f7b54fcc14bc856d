import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { DAY_MS, MAX_WAIT_MS } from './parts.ts';

const MAX_PERCENT = 1000;
const MAX_LOOKS = 60;
const MAX_MOVES = 64;

/** The band of a rebalancing, and how it is carried out. */
export function checkRebalance(request: rpc.PlanRebalanceRequest | rpc.RebalanceRequest): void {
  const checks = new Checks();
  checkBand(checks, request.rules);
  if ('termMs' in request) checkHow(checks, request);
  checks.done();
}

/** How the pool rebalances by itself, a part of its policy. */
export function checkAutoRebalance(checks: Checks, wanted: rpc.AutoRebalance): void {
  checks.rule(isTerm(wanted.everyMs), 'everyMs', wanted.everyMs, `must be 1000 to ${DAY_MS}, or 0 for never`);
  checkBand(checks, wanted.rules);
  checks.range('looks', wanted.looks, 0, MAX_LOOKS);
  checks.range('maxMoves', wanted.maxMoves, 0, MAX_MOVES);
  checkHow(checks, wanted);
}

function checkBand(checks: Checks, rules: rpc.RebalanceRules | undefined): void {
  if (!rules) return;
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

function checkHow(checks: Checks, { termMs, graceMs }: { readonly termMs: number; readonly graceMs: number }): void {
  checks.rule(isTerm(termMs), 'termMs', termMs, `must be 1000 to ${DAY_MS}, or 0 for the default`);
  checks.range('graceMs', graceMs, 0, MAX_WAIT_MS);
}

const isTerm = (ms: number): boolean => ms === 0 || (ms >= 1000 && ms <= DAY_MS);
