import { formatDuration } from '../../../libs/kernel/durations.ts';
import type { Unblocker } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { isFrom } from './lender.ts';
import { type Labels, meets, type Offer, wishOf, wishOfTask } from './need.ts';
import { offeredTo } from './offered.ts';
import type { RequestRow, TaskRow } from './rows.ts';
import type { PoolState } from './state.ts';
import { unblocker } from './unblocker.ts';

/**
 * How an agent of another swarm comes to a task that waits. Tasks do not borrow: their swarm does, or idle agents come by
 * themselves where the policy has them (stealing.ts). So a swarm that begins to lend is only half of the way, unless
 * something waits for its agents already.
 */

/** What follows when other swarms change what they lend, so that it says the whole way. */
export const withWholeWay = (state: PoolState, task: TaskRow, unblockers: readonly Unblocker[]): Unblocker[] =>
  unblockers.map((each) => (each.lending ? { ...each, ...wholeWay(state, task, each) } : each));

function wholeWay(state: PoolState, task: TaskRow, { text, swarm, lending }: Unblocker): Partial<Unblocker> {
  const comes = comesBy(state, task, swarm);
  const then = comes ?? `then swarm ${task.spec.swarm} must borrow it`;
  return { text: `${text}; ${then}`, lending: lending && { ...lending, thenBorrow: comes === undefined } };
}

/** What brings a free agent of this home to the task once it may be lent; undefined = nothing does. */
function comesBy(state: PoolState, task: TaskRow, home: string): string | undefined {
  const least = leastAgent(task, home);
  const request = requestsOf(state, task).find((row) => isFrom(home, row.wish) && meets(least, wishOf(row.wish).need));
  if (request) return `request ${request.id} waits for it`;
  if (offeredTo(task) === home) return 'an idle agent of it then takes the task';
  const { afterMs } = state.stealing;
  // Votes are not offered to others' agents, see `offerDue`.
  if (afterMs === 0 || task.spec.ties?.vote) return undefined;
  return `an idle agent of it then takes the task, once that has waited ${formatDuration(afterMs)}`;
}

/** So many requests are named. */
const MAX_NAMED = 3;

/** What its swarm has asked for already: whatever a request is granted may do the task, if it fits. */
export function pendingRequests(state: PoolState, task: TaskRow): Unblocker[] {
  const { labels } = wishOfTask(task).need;
  const all = requestsOf(state, task).filter(({ wish }) => !contradicts(labels, wishOf(wish).need.labels));
  const [first, ...others] = all;
  if (!first) return [];
  const { swarm, type } = task.spec;
  const what = `of swarm ${swarm} for an agent of type ${type}`;
  const named = all.slice(0, MAX_NAMED).map(({ id }) => id);
  const text =
    others.length === 0
      ? `request ${first.id} ${what} is granted one that fits`
      : `one of ${all.length} requests ${what} is granted one that fits: ${named.join(', ')}${all.length > MAX_NAMED ? ', …' : ''}`;
  return [unblocker('request', text, { request: first.id })];
}

/** No agent has both, as a label has one value. */
const contradicts = (a: Labels, b: Labels): boolean =>
  Object.entries(a).some(([key, value]) => b[key] !== undefined && b[key] !== value);

/** Whatever suits this one suits every agent that could have the task. */
function leastAgent(task: TaskRow, home: string): Offer {
  const { capabilities, labels, script } = wishOfTask(task).need;
  return {
    ...{ home, region: '', labels, specialisations: new Set(), allowScripts: script },
    capabilities: new Set(capabilities),
  };
}

/** Requests of the task's swarm that wait for an agent of its type, the oldest first. */
const requestsOf = (state: PoolState, { spec }: TaskRow): RequestRow[] =>
  [...state.requests.values()]
    .filter(({ wish }) => wish.swarm === spec.swarm && wish.type === spec.type)
    .sort((a, b) => a.order - b.order);
