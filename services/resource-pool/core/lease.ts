import { formatDuration } from '../../../libs/kernel/durations.ts';
import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Ctx, Machine } from '../../../libs/protocol/machine.ts';
import type { LeaseState } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireSwarm } from './access.ts';
import { endAttempt } from './attempt.ts';
import { Plan } from './dispatch.ts';
import { sweepShares } from './fair-share.ts';
import { meets } from './need.ts';
import type { Waiting } from './queue.ts';
import { type AgentRow, currentAttempt, type LeaseRow, orderOf } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolSoft, PoolState } from './state.ts';
import { deleteLease, deleteRequest, putAgent, putLease } from './store.ts';
import { leaseView } from './view.ts';
import { agentWith, leaseWith, wholeLease } from './whole-rows.ts';

export const leaseCommands: Pick<Machine<PoolShape>['commands'], 'renewLease' | 'revokeLease' | 'releaseLease'> = {
  renewLease(state, input, ctx) {
    const lease = find(state, input.lease);
    requireSwarm(ctx, [lease.borrower], 'renew a lease');
    if (lease.state !== 'LEASE_STATE_ACTIVE') throw over(lease);
    return {
      events: [{ type: 'lease.renewed', data: { lease: lease.id } }],
      reply: () => answer(state, lease.id, ctx),
    };
  },

  revokeLease(state, input, ctx) {
    const lease = find(state, input.lease);
    requireSwarm(ctx, [lease.lender], 'take a lent agent back');
    const reply = () => answer(state, lease.id, ctx);
    if (lease.endedAt > 0) throw over(lease);
    const plan = new Plan(state);
    const by = ctx.principal.kind === 'swarm' ? `swarm ${ctx.principal.swarm}` : 'an operator';
    const reason = `taken back by ${by}${input.reason === '' ? '' : `: ${input.reason}`}`;
    const end = endLease(state, lease, 'LEASE_STATE_REVOKED', reason, plan, input);
    return { events: [...end, ...plan.assignments()], reply };
  },

  releaseLease(state, input, ctx) {
    const lease = find(state, input.lease);
    requireSwarm(ctx, [lease.borrower, lease.lender], 'release a lease');
    const reply = () => answer(state, lease.id, ctx);
    if (lease.state !== 'LEASE_STATE_ACTIVE') return { events: [], reply };
    const plan = new Plan(state);
    const by = ctx.principal.kind === 'swarm' ? `swarm ${ctx.principal.swarm}` : 'an operator';
    const end = endLease(state, lease, 'LEASE_STATE_RELEASED', `given back by ${by}`, plan);
    return { events: [...end, ...plan.assignments()], reply };
  },
};

export const leaseEvents = (
  settings: PoolSettings,
): Pick<
  Machine<PoolShape>['events'],
  'lease.granted' | 'lease.renewed' | 'lease.draining' | 'lease.ended' | 'lease.forgotten'
> => ({
  'lease.granted': {
    apply(state, data, at) {
      const row = wholeLease({
        id: data.lease,
        agent: data.agent,
        lender: data.lender,
        borrower: data.borrower,
        termMs: data.termMs,
        state: 'LEASE_STATE_ACTIVE',
        ending: 'LEASE_STATE_UNSPECIFIED',
        grantedAt: at.time,
        since: at.time,
        endedAt: 0,
        reason: '',
        choice: data.choice,
        task: data.task || undefined,
        why: data.why || undefined,
        registration: data.registration || undefined,
        order: orderOf(at),
        revision: at.revision,
      });
      putLease(state, row);
      const agent = state.agents.get(data.agent);
      if (agent) putAgent(state, agentWith(agent, { lease: data.lease, serving: data.borrower }), settings);
      if (data.request) deleteRequest(state, data.request);
      state.fair.grant(data.borrower, data.termMs);
      sweepShares(state.shares);
    },
    key: (data) => `${data.borrower}.${data.lease}`,
  },

  'lease.renewed': {
    apply(state, data, at) {
      const lease = state.leases.get(data.lease);
      if (!lease) return;
      state.fair.prolong(lease.borrower, at.time - lease.since);
      putLease(state, leaseWith(lease, { since: at.time, revision: at.revision }));
    },
    key: (data, state) => leaseKey(state, data.lease),
  },

  'lease.draining': {
    apply(state, data, at) {
      const lease = state.leases.get(data.lease);
      if (!lease) return;
      const { ending, reason } = data;
      const notice = data.moves ? { since: at.time, ms: data.noticeMs } : lease.notice;
      const drained = { state: 'LEASE_STATE_DRAINING', ending, notice, reason, revision: at.revision } as const;
      putLease(state, leaseWith(lease, drained));
      const agent = state.agents.get(lease.agent);
      if (agent) putAgent(state, agentWith(agent, { draining: true }), settings);
    },
    key: (data, state) => leaseKey(state, data.lease),
  },

  'lease.ended': {
    apply(state, data, at) {
      const lease = state.leases.get(data.lease);
      if (!lease) return;
      // What it had in the end is what it costs: less than its term, or more when it had to drain.
      state.fair.prolong(lease.borrower, at.time - (lease.since + lease.termMs));
      const ended = { state: data.state, reason: data.reason, endedAt: at.time, revision: at.revision };
      putLease(state, leaseWith(lease, ended));
      const agent = state.agents.get(lease.agent);
      if (agent) putAgent(state, atHome(agent), settings);
    },
    key: (data, state) => leaseKey(state, data.lease),
  },

  'lease.forgotten': {
    apply(state, data) {
      for (const id of data.leases) deleteLease(state, id);
    },
    key: () => '',
  },
});

/** How long what runs for the borrower may go on before it moves, in milliseconds. */
export interface Notice {
  readonly noticeMs: number;
}

/** Ends an active lease: at once, or after the borrower's tasks that run on the agent, which may take their time or not. */
export function endLease(
  state: PoolState,
  lease: LeaseRow,
  ending: LeaseState,
  reason: string,
  plan: Plan,
  notice?: Notice,
): readonly PoolEvent[] {
  const agent = plan.spot(lease.agent)?.row;
  if (agent && runsFor(state, lease, plan)) {
    plan.changeRow(agentWith(agent, { draining: true }));
    const how = { moves: notice !== undefined, noticeMs: notice?.noticeMs ?? 0 };
    return [{ type: 'lease.draining', data: { lease: lease.id, ending, reason, ...how } }];
  }
  if (agent) plan.changeRow(atHome(agent));
  plan.quotas.count('leases', lease.borrower, -1);
  return [{ type: 'lease.ended', data: { lease: lease.id, state: ending, reason } }];
}

/** The lease of an agent that is lost to its borrower ends at once. */
export function revokeLease(state: PoolState, agent: AgentRow, reason: string, plan: Plan): readonly PoolEvent[] {
  const lease = state.leases.get(agent.lease);
  if (!lease) return [];
  const row = plan.spot(agent.key)?.row;
  if (row) plan.changeRow(atHome(row));
  plan.quotas.count('leases', lease.borrower, -1);
  return [{ type: 'lease.ended', data: { lease: lease.id, state: 'LEASE_STATE_REVOKED', reason } }];
}

/** The notice of a lease is over: what still runs for the borrower moves to other agents. */
export function moveTasks(state: PoolState, lease: LeaseRow, plan: Plan, settings: PoolSettings): PoolEvent[] {
  const events: PoolEvent[] = [];
  for (const id of state.workers.tasksOf(lease.agent)) {
    const task = state.tasks.get(id);
    if (!task || plan.hasVacated(id) || currentAttempt(task)?.lease !== lease.id) continue;
    const reason = `the agent goes back to swarm ${lease.lender}: ${lease.reason}`;
    events.push(endAttempt(task, { outcome: 'OUTCOME_MOVED', reason, stopAgent: true }, plan, settings));
  }
  return events;
}

/** What follows from the ends of attempts and from new tasks: drained agents go home, free slots are used, lent agents
 * are taken back for what is urgent. */
export function settled(state: PoolState, plan: Plan): PoolEvent[] {
  const events = [...drainings(state, plan), ...plan.assignments()];
  const returns = state.stealing.leases > 0 ? idleReturns(state, plan) : [];
  const ends = [...returns, ...plan.unplaced().flatMap((task) => recall(state, task, plan))];
  return ends.length === 0 ? events : [...events, ...ends, ...plan.assignments()];
}

/** Agents that have taken work of another swarm go home when nothing of it is left to do. */
function idleReturns(state: PoolState, plan: Plan): readonly PoolEvent[] {
  return plan.changed().flatMap(({ row, busy }) => {
    const lease = row.lease !== '' && busy === 0 ? state.leases.get(row.lease) : undefined;
    if (!lease?.task || lease.state !== 'LEASE_STATE_ACTIVE') return [];
    const reason = `nothing is left to do for swarm ${lease.borrower}`;
    return endLease(state, lease, 'LEASE_STATE_RELEASED', reason, plan);
  });
}

/** An agent that has taken work of another swarm comes home for a task of its own, after what it runs. */
function callHome(state: PoolState, task: Waiting, plan: Plan): readonly PoolEvent[] {
  if (state.stealing.leases === 0) return [];
  const leases = [...state.stealing.leasesOf(task.wish.swarm)].flatMap((id) => state.leases.get(id) ?? []);
  const best = leastBusy(leases, task, plan);
  return best
    ? endLease(state, best, 'LEASE_STATE_RELEASED', `its swarm ${best.lender} needs it for task ${task.id}`, plan)
    : [];
}

/** Takes a lent agent back for a task of its home: one that was asked for only for an urgent task. */
function recall(state: PoolState, task: Waiting, plan: Plan): readonly PoolEvent[] {
  const { id, wish, priority } = task;
  const policy = state.lending.get(wish.swarm)?.policy;
  const isUrgent = policy && policy.recallPriority > 0 && priority >= policy.recallPriority;
  if (!isUrgent) return callHome(state, task, plan);
  const best = leastBusy(state.leases.values(), task, plan);
  if (!best) return [];
  const reason = `taken back for task ${id} of priority ${priority}`;
  return endLease(state, best, 'LEASE_STATE_REVOKED', reason, plan, policy);
}

/** Of the agents lent by a task's swarm that could do it, the one with least to do, then the last lent. */
function leastBusy(leases: Iterable<LeaseRow>, { wish, type }: Waiting, plan: Plan): LeaseRow | undefined {
  let best: { lease: LeaseRow; busy: number } | undefined;
  for (const lease of leases) {
    if (lease.state !== 'LEASE_STATE_ACTIVE' || lease.lender !== wish.swarm) continue;
    const spot = plan.spot(lease.agent);
    if (spot?.row.lease !== lease.id || spot.row.draining || spot.row.state !== 'AGENT_STATE_READY') continue;
    if (spot.row.type !== type || !meets(spot.offer, wish.need)) continue;
    if (!best || spot.busy < best.busy || (spot.busy === best.busy && lease.order > best.lease.order))
      best = { lease, busy: spot.busy };
  }
  return best?.lease;
}

/** Agents that only finished what they had go home, and lame ducks on which nothing runs any more are drained. */
function drainings(state: PoolState, plan: Plan): PoolEvent[] {
  const events: PoolEvent[] = [];
  for (const { row } of plan.changed()) {
    if (row.draining) goHome(state, row, plan, events);
    if (row.lameDuck) drained(row.key, plan, events);
  }
  return events;
}

function goHome(state: PoolState, row: AgentRow, plan: Plan, events: PoolEvent[]): void {
  const lease = state.leases.get(row.lease);
  if (lease?.state !== 'LEASE_STATE_DRAINING' || runsFor(state, lease, plan)) return;
  plan.changeRow(atHome(row));
  plan.quotas.count('leases', lease.borrower, -1);
  events.push({ type: 'lease.ended', data: { lease: lease.id, state: lease.ending, reason: lease.reason } });
}

function drained(key: string, plan: Plan, events: PoolEvent[]): void {
  const { row, busy } = plan.spot(key) ?? {};
  if (!row?.lameDuck || row.lameDuck.isDrained || busy !== 0) return;
  plan.changeRow(agentWith(row, { lameDuck: { ...row.lameDuck, isDrained: true } }));
  events.push({ type: 'agent.drained', data: { agent: key } });
  const { migration } = row.lameDuck;
  if (migration !== undefined) events.push({ type: 'migration.transferring', data: { migration } });
}

/** Does anything run under the lease that the plan does not end, or will? */
function runsFor(state: PoolState, lease: LeaseRow, plan: Plan): boolean {
  if (plan.hasUsed(lease.id)) return true;
  for (const id of state.workers.tasksOf(lease.agent)) {
    const task = state.tasks.get(id);
    if (task && !plan.hasVacated(id) && currentAttempt(task)?.lease === lease.id) return true;
  }
  return false;
}

const atHome = (agent: AgentRow): AgentRow => agentWith(agent, { lease: '', serving: agent.home, draining: false });

const leaseKey = (state: PoolState, id: string): string => `${state.leases.get(id)?.borrower ?? 'unknown'}.${id}`;

function find(state: PoolState, id: string): LeaseRow {
  const lease = state.leases.get(id);
  if (!lease) throw notFound('lease', id, 'it never was, or it ended long ago and is no longer kept');
  return lease;
}

export function answer(state: PoolState, id: string, ctx: Ctx<PoolSoft>) {
  const lease = state.leases.get(id);
  return { lease: lease && leaseView(lease, ctx.epochStart), revision: String(ctx.revision) };
}

function over(lease: LeaseRow): HiveError {
  const how =
    lease.state === 'LEASE_STATE_DRAINING'
      ? `is over (${lease.reason}) and the agent only finishes what runs`
      : `ended at ${new Date(lease.endedAt).toISOString()} as ${lease.state} (${lease.reason})`;
  const message = `lease ${quote(lease.id)} of ${formatDuration(lease.termMs)} ${how}; request an agent again`;
  return new HiveError('FAILED_PRECONDITION', message, { reason: 'LEASE_ENDED' });
}
