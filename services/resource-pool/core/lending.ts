import { HiveError, quote } from '../../../libs/kernel/errors.ts';
import type { RequestAgentRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { obstaclesText } from './candidates.ts';
import { Plan } from './dispatch.ts';
import { Keepers } from './keepers.ts';
import { isFrom } from './lender.ts';
import { meets, wishOf } from './need.ts';
import type { PoolState } from './state.ts';
import type { WorkerClass } from './workers.ts';

/** Why no agent can be lent, with counts that add up. */
export function noneToLend(state: PoolState, wanted: RequestAgentRequest, plan = new Plan(state)): HiveError {
  const counts = { free: 0, busy: 0, lent: 0, draining: 0, suspect: 0, unreachable: 0 };
  let candidates = 0;
  let unfit = 0;
  let kept = 0;
  const keepers = new Keepers(state);
  const { need } = wishOf(wanted);
  for (const offer of state.workers.ofType(wanted.type)) {
    if (!isFrom(offer.home, wanted)) continue;
    const size = sizeOf(offer);
    candidates += size;
    if (!meets(offer, need)) {
      unfit += size;
      continue;
    }
    const refusal = plan.lender.refusal(offer, wanted.swarm);
    if (refusal && offer.counts.free > 0) {
      kept += offer.counts.free;
      keepers.add(offer.home, refusal, offer.counts.free);
    }
    for (const [standing, count] of Object.entries(offer.counts)) counts[standing as keyof typeof counts] += count;
  }
  const { free: _, ...taken } = counts;
  const obstacles = { ...taken, 'lacking a capability or label': unfit, 'kept by their swarm': kept };
  const from = wanted.lender === '' ? 'other swarms' : `swarm ${quote(wanted.lender)}`;
  const skills = wanted.capabilities.length === 0 ? '' : ` with ${wanted.capabilities.join(', ')}`;
  const message =
    `no agent of type ${quote(wanted.type)}${skills} can be lent to swarm ${quote(wanted.swarm)}: ` +
    (candidates > 0
      ? `${candidates} ${candidates === 1 ? 'candidate' : 'candidates'} in ${from}${obstaclesText(obstacles)}${keepers.texts.map((text) => `; ${text}`).join('')}`
      : wanted.lender === ''
        ? 'no other swarm has one'
        : `${from} has none`);
  // Not retryable: clients would wait in silence, and whether to wait is the borrower's to decide.
  return new HiveError('RESOURCE_EXHAUSTED', message, { retryable: false, reason: 'NO_AGENT_FREE' });
}

const sizeOf = (offer: WorkerClass): number => Object.values(offer.counts).reduce((sum, count) => sum + count, 0);
