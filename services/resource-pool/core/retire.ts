import type { Machine } from '../../../libs/protocol/machine.ts';
import { requireService } from './access.ts';
import { removeAgent } from './agent.ts';
import { Plan } from './dispatch.ts';
import { cancelled } from './group.ts';
import type { GroupRow } from './group-rows.ts';
import { endLease } from './lease.ts';
import { withdrawn } from './request.ts';
import type { Registered, TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolState, Retirement } from './state.ts';
import { cancellation } from './task.ts';
import { hasEnded } from './task-states.ts';

/**
 * A name belongs to whoever registers it next, but what was begun under it does not. So what belongs to a registration
 * that is over ends with it: its tasks are cancelled, its requests for agents taken back, what it has borrowed goes home, its agents leave the pool.
 */

/** Tasks and leases that end in one record, at most: about 200 bytes each. */
const BATCH = 1000;

export const retireCommands = (settings: PoolSettings): Pick<Machine<PoolShape>['commands'], 'retireSwarm'> => ({
  retireSwarm(state, retirement, ctx) {
    requireService(ctx, 'retire a swarm');
    const events = retire(state, retirement, settings);
    return { events, reply: () => ({ left: events.length > 0 }) };
  },
});

/** One step: groups and tasks first, so that agents that are freed or leave give no attempt out again. Nothing left: no events. */
function retire(state: PoolState, { swarm, registrations }: Retirement, settings: PoolSettings): readonly PoolEvent[] {
  const isOver = (row: Registered) => registrations.includes(row.registration ?? '');
  const reason = `swarm ${swarm} was deregistered`;
  const groups = first(state.groups.values(), (row) => row.spec.swarm === swarm && isGoing(row) && isOver(row));
  if (groups.length > 0) return groups.map(({ id }) => cancelled(id, reason));
  const tasks = first(state.tasks.values(), (row) => row.spec.swarm === swarm && isOpen(row) && isOver(row));
  if (tasks.length > 0) return tasks.map((task) => cancellation(task, 'pool', reason));
  const requests = first(state.requests.values(), (row) => row.wish.swarm === swarm && isOver(row));
  if (requests.length > 0) return requests.map((request) => withdrawn(request, reason));
  const isHeld = 'LEASE_STATE_ACTIVE';
  const leases = first(state.leases.values(), (row) => row.borrower === swarm && row.state === isHeld && isOver(row));
  if (leases.length > 0) {
    const plan = new Plan(state);
    const ends = leases.flatMap((lease) => endLease(state, lease, 'LEASE_STATE_REVOKED', reason, plan));
    return [...ends, ...plan.assignments()];
  }
  const lending = state.lending.get(swarm);
  if (lending && isOver(lending)) return [{ type: 'lending.removed', data: { swarm } }];
  for (const row of state.agents.values()) {
    if (row.home === swarm && isOver(row)) return removeAgent(state, row, reason, settings);
  }
  return [];
}

const isGoing = (group: GroupRow): boolean => group.endedAt === 0 && group.ending === undefined;

const isOpen = (task: TaskRow): boolean => !hasEnded(task.state) && task.cancelRequestedAt === 0;

function first<Row>(rows: Iterable<Row>, accepts: (row: Row) => boolean): Row[] {
  const found: Row[] = [];
  for (const row of rows) {
    if (!accepts(row)) continue;
    found.push(row);
    if (found.length === BATCH) break;
  }
  return found;
}

/** Swarms of which something is there that belongs to another registration than the one that is known, if any is. */
export function strays(state: PoolState, registrationOf: (swarm: string) => string | undefined): Retirement[] {
  const found = new Map<string, Set<string>>();
  const look = (swarm: string, { registration = '' }: Registered) => {
    const now = registrationOf(swarm);
    if (now === registration || (now !== undefined && registration === '')) return;
    const seen = found.get(swarm);
    if (seen) seen.add(registration);
    else found.set(swarm, new Set([registration]));
  };
  for (const row of state.tasks.values()) if (isOpen(row)) look(row.spec.swarm, row);
  for (const row of state.groups.values()) if (isGoing(row)) look(row.spec.swarm, row);
  for (const row of state.requests.values()) look(row.wish.swarm, row);
  for (const row of state.leases.values()) if (row.state === 'LEASE_STATE_ACTIVE') look(row.borrower, row);
  for (const [swarm, row] of state.lending.entries()) look(swarm, row);
  for (const row of state.agents.values()) look(row.home, row);
  return [...found].map(([swarm, registrations]) => ({ swarm, registrations: [...registrations] }));
}
