import { formatDuration } from '../../../libs/kernel/durations.ts';
import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { RequestAgentRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { keyOfSwarm, registrationOf, requireSwarm } from './access.ts';
import { Plan } from './dispatch.ts';
import { answer } from './lease.ts';
import { leaseOf } from './lender.ts';
import { noneToLend } from './lending.ts';
import { noMoreLeases, requireRoomToAsk } from './limits.ts';
import { orderOf, type RequestRow, registered } from './rows.ts';
import { DEFAULT_LEASE_TERM_MS, type PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolState } from './state.ts';
import { deleteRequest, putRequest } from './store.ts';
import { agentWith } from './whole-rows.ts';

type Commands = Pick<Machine<PoolShape>['commands'], 'requestAgent' | 'withdrawAgentRequest'>;

/** Asking for an agent of another swarm: it is lent at once, or refused, or waited for. */
export const requestCommands = (settings: PoolSettings): Commands => ({
  requestAgent(state, input, ctx) {
    const { swarm: borrower } = input;
    requireSwarm(ctx, [borrower], 'borrow an agent');
    keyOfSwarm(ctx, borrower);
    const registration = registrationOf(ctx, borrower);
    const termMs = input.termMs || DEFAULT_LEASE_TERM_MS;
    requireFree(state, input.id);
    const plan = new Plan(state);
    const mayBorrow = plan.quotas.mayBorrow(borrower);
    const list = mayBorrow ? plan.lender.candidatesFor(input) : undefined;
    const spot = list?.first;
    if (!list || !spot) {
      if (!(input.waitMs > 0)) throw mayBorrow ? noneToLend(state, input) : noMoreLeases(state, borrower);
      requireRoomToAsk(state, borrower);
      if (state.asking.size >= settings.maxRequests) throw tooManyWait(settings.maxRequests);
      const request = input.id || ctx.id('request');
      const wish: RequestAgentRequest = { ...input, termMs };
      const queued: PoolEvent = { type: 'request.queued', data: { request, wish, registration } };
      return { events: [queued], reply: () => ({ request, revision: String(ctx.revision) }) };
    }
    const lease = input.id ? leaseOf(input.id) : ctx.id('lease');
    const agent = spot.row;
    const choice = state.keptScores > 0 ? list.choice(state, spot) : undefined;
    const data = {
      lease,
      agent: agent.key,
      lender: agent.home,
      borrower,
      termMs,
      registration,
      request: '',
      task: '',
      why: '',
      choice,
    };
    plan.changeRow(agentWith(agent, { lease, serving: borrower }));
    return {
      events: [{ type: 'lease.granted', data }, ...plan.assignments()],
      reply: () => ({ request: '', ...answer(state, lease, ctx) }),
    };
  },

  withdrawAgentRequest(state, { id }, ctx) {
    const request = state.requests.get(id);
    if (!request) throw notFound('request', id, 'it never waited, or it was granted or refused meanwhile');
    requireSwarm(ctx, [request.wish.swarm], 'withdraw a request');
    const by = ctx.principal.kind === 'swarm' ? `swarm ${ctx.principal.swarm}` : 'an operator';
    return { events: [withdrawn(request, `taken back by ${by}`)], reply: () => ({ revision: String(ctx.revision) }) };
  },
});

export const requestEvents: Pick<Machine<PoolShape>['events'], 'request.queued' | 'request.ended'> = {
  'request.queued': {
    apply(state, data, at) {
      const wish = data.wish as RequestAgentRequest;
      const order = orderOf(at);
      putRequest(state, {
        id: data.request,
        wish,
        queuedAt: at.time,
        order,
        revision: at.revision,
        ...registered(data),
      });
    },
    key: (data) => `${data.wish?.swarm ?? 'unknown'}.${data.request}`,
  },

  'request.ended': {
    apply: (state, data) => deleteRequest(state, data.request),
    key: (data) => `${data.borrower}.${data.request}`,
  },
};

export const withdrawn = ({ id, wish }: RequestRow, reason: string): PoolEvent => ({
  type: 'request.ended',
  data: { request: id, withdrawn: true, reason, borrower: wish.swarm },
});

/** The end of a request whose time has run out, with what stood in its way. */
export function outOfTime(state: PoolState, { id, wish }: RequestRow, plan: Plan): PoolEvent {
  plan.lender.dropRequest(id);
  const why = plan.quotas.mayBorrow(wish.swarm) ? noneToLend(state, wish) : noMoreLeases(state, wish.swarm);
  const reason = `waited ${formatDuration(wish.waitMs)}; ${why.message}`;
  return { type: 'request.ended', data: { request: id, withdrawn: false, reason, borrower: wish.swarm } };
}

/** The id of a request says how its lease is called, too. */
function requireFree(state: PoolState, id: string): void {
  if (id === '' || !(state.requests.has(id) || state.leases.has(leaseOf(id)))) return;
  const how = state.requests.has(id) ? 'waits already' : `was granted before, as ${leaseOf(id)}`;
  throw new HiveError('ALREADY_EXISTS', `request ${quote(id)} ${how}; choose another id, or leave it out`, {
    reason: 'ID_TAKEN',
  });
}

const tooManyWait = (limit: number): HiveError =>
  new HiveError(
    'RESOURCE_EXHAUSTED',
    `${limit} requests for agents wait already, which is the limit; ask again later`,
    {
      retryable: true,
      retryAfterMs: 1000,
      reason: 'QUEUE_FULL',
    },
  );
