import { formatDuration } from '../../libs/kernel/durations.ts';
import { HiveError, notFound } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { AgentRequest, WithdrawAgentRequestResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { facts } from '../output.ts';
import { allRequests } from '../queries.ts';
import { selectorText } from '../selector.ts';
import { ago, between } from '../values.ts';
import { type Kind, named, textOf } from './kind.ts';

const leftOf = ({ expiresAt }: AgentRequest): string =>
  expiresAt ? `in ${between(new Date().toISOString(), expiresAt)}` : '-';

const wantsOf = ({ wish }: AgentRequest): string => [wish?.type ?? '', ...(wish?.capabilities ?? [])].join(' ');

export const REQUESTS: Kind<AgentRequest> = {
  name: 'request',
  plural: 'requests',
  aliases: ['rq', 'agentrequest', 'agentrequests'],
  what: 'requests for agents of other swarms that wait',
  service: 'pool',
  none: 'no request waits for an agent',
  filters: ['swarm'],
  columns: [
    { title: 'REQUEST', of: ({ id }) => id },
    { title: 'SWARM', of: ({ wish }) => wish?.swarm ?? '-' },
    { title: 'NEEDS', of: wantsOf },
    { title: 'FROM', of: ({ wish }) => wish?.lender || 'any' },
    { title: 'PRIO', of: ({ wish }) => String(wish?.priority ?? 0) },
    { title: 'SINCE', of: ({ queuedAt }) => ago(queuedAt) },
    { title: 'ENDS', of: leftOf },
  ],
  nameOf: ({ id }) => id,
  list: (hive, { swarm = '' }) => allRequests(hive, { swarm }),
  get,
  details: (request) =>
    facts([
      ['request', request.id],
      ['swarm', request.wish?.swarm ?? ''],
      ['needs', wantsOf(request)],
      ['agent', selectorText(request.wish?.selector)],
      ['from', request.wish?.lender || 'any other swarm'],
      ['priority', String(request.wish?.priority ?? 0)],
      ['term', formatDuration(request.wish?.termMs ?? 0)],
      ['since', ago(request.queuedAt)],
      ['ends', `${leftOf(request)}, unless an agent can be lent before`],
      ['revision', request.revision],
    ]),
  swarmsOf: ({ wish }) => (wish ? [wish.swarm, ...(wish.lender === '' ? [] : [wish.lender])] : []),
  touched: (event) =>
    event.type === 'lease.granted'
      ? [textOf(event, 'request')].filter((request) => request !== '')
      : named('request', 'request')(event),
  remove: {
    means: 'it is taken back, and waits no longer',
    run: async (hive, name) => (await withdraw(hive, name)).said,
  },
};

/** What was granted meanwhile is told. */
async function get(hive: Hive, id: string): Promise<AgentRequest> {
  const { request, lease } = await hive.pool.explain({ id }).catch((error: unknown) => {
    if (error instanceof HiveError && error.code === 'NOT_FOUND') return { request: undefined, lease: undefined };
    throw error;
  });
  if (request) return request;
  const granted = lease && id.startsWith('request-') ? `it was granted, as ${lease.id}` : '';
  throw notFound('request', id, granted || 'it never waited, or it was refused or taken back meanwhile');
}

/** NOT_FOUND when it waits no longer. */
export async function withdraw(
  hive: Hive,
  id: string,
): Promise<{ answer: WithdrawAgentRequestResponse; said: string }> {
  try {
    return { answer: await hive.pool.withdrawAgentRequest({ id }), said: `request ${id} is taken back` };
  } catch (error) {
    if (error instanceof HiveError && error.code === 'NOT_FOUND') await get(hive, id);
    throw error;
  }
}
