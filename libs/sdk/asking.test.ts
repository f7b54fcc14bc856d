import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { HiveError, notFound } from '../kernel/errors.ts';
import type { Lease, RequestAgentResponse } from '../wire/hivebus/pool/v1/pool.ts';
import { type Asked, Asking } from './asking.ts';

const LEASE = { id: 'lease-x', agent: 'b/y' } as Lease;
const never = new AbortController().signal;
const aborted = AbortSignal.abort();

/** A pool of one request: what it answers, and what it was asked to undo. */
function fixture(change: Partial<Asked['pool']> = {}) {
  const calls: string[] = [];
  let settle: { resolve: (answer: RequestAgentResponse) => void; reject: (error: HiveError) => void } | undefined;
  const answer = new Promise<RequestAgentResponse>((resolve, reject) => {
    settle = { resolve, reject };
  });
  const pool: Asked['pool'] = {
    requestAgent: ({ id }) => {
      calls.push(`ask ${id}`);
      return answer;
    },
    withdrawAgentRequest: async ({ id }) => {
      calls.push(`withdraw ${id}`);
      throw notFound('request', id ?? '');
    },
    releaseLease: async ({ lease }) => {
      calls.push(`release ${lease}`);
      throw notFound('lease', lease ?? '');
    },
    ...change,
  };
  const asking = new Asking({ pool }, { type: 't', waitMs: 60_000, id: 'request-x' }, systemClock);
  asking.answer.catch(() => {});
  return {
    asking,
    calls,
    pool,
    granted: () => settle?.resolve({ lease: LEASE, request: 'request-x', revision: '1' }),
    refused: (error: HiveError) => settle?.reject(error),
  };
}

test('it has an id from the start, and tells an answer from an abort', async () => {
  const { asking, granted } = fixture();
  expect(new Asking({ pool: fixture().pool }, {}, systemClock).id).toMatch(/^request-[a-z0-9]{12}$/);
  expect(await asking.isAborted(aborted)).toBe(true);
  const later = new AbortController();
  const both = [asking.isAborted(later.signal), asking.isAborted(never)];
  granted();
  expect(await Promise.all(both)).toEqual([false, false]);
  later.abort();
  expect(await asking.isAborted(aborted)).toBe(false);
});

test('what waits is withdrawn', async () => {
  const { asking } = fixture({ withdrawAgentRequest: async () => ({ revision: '2' }) });
  expect(await asking.giveUp()).toEqual({ kind: 'withdrawn' });
});

test('what has won a lease meanwhile gives it back, whether or not that was heard of', async () => {
  for (const heard of [true, false]) {
    const { asking, granted } = fixture({ releaseLease: async () => ({ lease: LEASE, revision: '3' }) });
    if (heard) granted();
    expect(await asking.giveUp()).toEqual({ kind: 'released', lease: LEASE });
  }
});

test('what was refused is over', async () => {
  const { asking, refused, calls } = fixture();
  refused(new HiveError('RESOURCE_EXHAUSTED', 'waited 1m; none is free'));
  await asking.isAborted(never);
  expect(await asking.giveUp()).toEqual({ kind: 'refused' });
  expect(calls).toEqual(['ask request-x', 'withdraw request-x', 'release lease-x']);
});

test('what is still on its way is looked for again', async () => {
  let arrived = 0;
  const { asking } = fixture({
    withdrawAgentRequest: async ({ id }) => {
      if (++arrived < 3) throw notFound('request', id ?? '');
      return { revision: '2' };
    },
  });
  expect(await asking.giveUp()).toEqual({ kind: 'withdrawn' });
});

test('an outage is waited out for a bounded time; what is forbidden is not tried again; then nobody knows', async () => {
  const unavailable = new HiveError('UNAVAILABLE', 'nobody is there');
  let now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  let tries = 0;
  const { pool } = fixture({
    withdrawAgentRequest: async () => {
      tries++;
      now += 2000;
      throw unavailable;
    },
  });
  const asking = new Asking({ pool }, { waitMs: 1 }, clock);
  expect(await asking.giveUp()).toEqual({ kind: 'unknown', error: unavailable });
  expect(tries).toBe(3);
  const denied = new HiveError('PERMISSION_DENIED', 'not yours');
  const other = fixture({ withdrawAgentRequest: () => Promise.reject(denied) });
  expect(await other.asking.giveUp()).toEqual({ kind: 'unknown', error: denied });
});
