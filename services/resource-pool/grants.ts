import type { Journal } from '../../libs/journal/journal.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { RequestAgentResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolShape } from './core/state.ts';

/**
 * The answer to a request for an agent: at once, or when it no longer waits. It is the journal that waits, and not this
 * call: whoever asks again under the same request id, of any replica, waits for the same request.
 */
export async function awaitGrant(
  journal: Journal<PoolShape>,
  answer: RequestAgentResponse,
  call: Call,
): Promise<RequestAgentResponse> {
  const { request, lease } = answer;
  if (lease || request === '') return answer;
  for await (const { revision, events } of journal.watch(Number(answer.revision), call.signal)) {
    for (const { type, data } of events) {
      if (type === 'lease.granted' && data.request === request) {
        const granted = await journal.query('grantedLease', { lease: data.lease }, call, { minRevision: revision });
        return { ...granted, request };
      }
      if (type === 'request.ended' && data.request === request) throw ended(data.withdrawn, data.reason);
    }
  }
  // The call is over, or this server stops: then the caller asks another, under the same request id.
  throw HiveError.from(call.signal.reason);
}

/** Not retryable, as when it is refused at once: whether to wait again is the borrower's to decide. */
const ended = (withdrawn: boolean, reason: string): HiveError =>
  withdrawn
    ? new HiveError('CANCELLED', `the request was ${reason}`, { reason: 'REQUEST_WITHDRAWN' })
    : new HiveError('RESOURCE_EXHAUSTED', reason, { retryable: false, reason: 'NO_AGENT_FREE' });
