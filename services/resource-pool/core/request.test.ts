import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Lease, RequestAgentRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, queen, shell, wanted } from './fixtures.ts';
import { meets, NO_LABELS, type Offer, wishOf } from './need.ts';

/** A request that waits; its id. */
const ask = (pool: Pool, change: Partial<RequestAgentRequest> = {}): string => {
  const request = wanted({ waitMs: 60_000, ...change });
  return pool.run.execute('requestAgent', request, { now: pool.now }).request;
};
const waiting = (pool: Pool): string[] => [...pool.run.state.requests.keys()];
const leases = (pool: Pool): Lease[] =>
  pool.run.query('listLeases', { swarm: '', includeEnded: true, pageSize: 0, pageToken: '', minRevision: '0' }).leases;
const release = (pool: Pool, lease: string) => pool.run.execute('releaseLease', { lease }, { now: pool.now });

test('a request has the id that its client chose, and its lease is named after it, whether or not it waited', () => {
  const pool = new Pool();
  expect(ask(pool, { id: 'request-mine' })).toBe('request-mine');
  const again = () => ask(pool, { id: 'request-mine' });
  expect(again).toThrow(expect.objectContaining({ code: 'ALREADY_EXISTS', reason: 'ID_TAKEN' }));
  expect(again).toThrow('request "request-mine" waits already');
  pool.run.execute('withdrawAgentRequest', { id: 'request-mine' });
  expect([waiting(pool), leases(pool)]).toEqual([[], []]);
  pool.register('x', { swarm: 'b' });
  expect(ask(pool, { id: 'request-mine' })).toBe('');
  expect(leases(pool)).toMatchObject([{ id: 'lease-mine', agent: 'b/x' }]);
  expect(again).toThrow('was granted before, as lease-mine');
  pool.register('y', { swarm: 'b' });
  ask(pool);
  expect(leases(pool)).toMatchObject([{ id: 'lease-mine' }, { id: expect.stringMatching(/^lease-(?!mine)/) }]);
});

describe('a request that cannot be served', () => {
  test('is refused at once unless it says that it waits', () => {
    const pool = new Pool();
    expect(() => ask(pool, { waitMs: 0 })).toThrow(expect.objectContaining({ reason: 'NO_AGENT_FREE' }));
    expect(ask(pool)).toMatch(/^request-/);
    expect(pool.types()).toEqual(['request.queued']);
  });

  test('is served by the decision that makes an agent free, and the agent takes what waits at once', () => {
    const pool = new Pool();
    pool.submit('mine');
    const request = ask(pool);
    pool.register('x', { swarm: 'b' });
    expect(pool.types(2)).toEqual(['agent.registered', 'lease.granted', 'task.assigned']);
    expect(leases(pool)).toMatchObject([{ agent: 'b/x', borrower: 'a', id: request.replace('request', 'lease') }]);
    expect([pool.where('mine'), waiting(pool)]).toEqual(['ASSIGNED on b/x', []]);
  });

  test("is woken by what it waits for alone, and after the tasks of the agent's home", () => {
    const pool = new Pool();
    const able = ask(pool, { capabilities: ['ts'] });
    const chosen = ask(pool, { lender: 'c' });
    pool.register('x', { swarm: 'b' });
    expect(waiting(pool)).toEqual([able, chosen]);
    pool.submit('theirs', { swarm: 'b', capabilities: ['ts'] });
    pool.register('y', { swarm: 'b', capabilities: ['ts'] });
    expect([pool.where('theirs'), waiting(pool)]).toEqual(['ASSIGNED on b/y', [able, chosen]]);
    pool.report('theirs');
    expect(waiting(pool)).toEqual([chosen]);
    pool.register('z', { swarm: 'c' });
    expect(waiting(pool)).toEqual([]);
  });

  test('is refused with counts when its time runs out', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b' });
    pool.submit('theirs', { swarm: 'b' });
    ask(pool, { waitMs: 5000 });
    pool.pass(4999);
    expect(waiting(pool)).toHaveLength(1);
    pool.pass(1);
    expect(pool.run.events.at(-1)).toMatchObject({
      key: expect.stringMatching(/^a\.request-/),
      event: {
        data: { withdrawn: false, reason: expect.stringMatching(/waited 5s; no agent .* 1 candidate .* 1 busy/) },
      },
    });
  });

  test('that runs out in the tick that would have served it is not served', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b' });
    pool.run.execute('requestAgent', wanted({ swarm: 'c', termMs: 5000 }), { now: pool.now });
    ask(pool, { waitMs: 5000 });
    pool.pass(5000);
    expect([waiting(pool), leases(pool).length]).toEqual([[], 1]);
  });

  test('is taken back by its swarm, and goes with it', () => {
    const pool = new Pool();
    const [mine, other] = [ask(pool), ask(pool, { swarm: 'b' })];
    const withdraw = (id: string) => pool.run.execute('withdrawAgentRequest', { id }, { principal: queen('a') });
    expect(() => withdraw(other)).toThrow(/may not withdraw a request: only swarm "b"/);
    withdraw(mine);
    expect(() => withdraw(mine)).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
    const registrations = [pool.run.state.requests.get(other)?.registration ?? ''];
    pool.run.execute('retireSwarm', { swarm: 'b', registrations }, { principal: shell });
    expect(waiting(pool)).toEqual([]);
  });

  test('waits only as long as there is room', () => {
    const pool = new Pool({ maxRequests: 2 });
    ask(pool);
    ask(pool);
    expect(() => ask(pool)).toThrow(expect.objectContaining({ reason: 'QUEUE_FULL', retryable: true }));
  });

  test('can be listed and explained', () => {
    const pool = new Pool();
    const id = ask(pool, { capabilities: ['ts'] });
    ask(pool, { swarm: 'b' });
    const list = { swarm: 'a', pageSize: 0, pageToken: '', minRevision: '0' };
    expect(pool.run.query('listAgentRequests', list)).toMatchObject({ total: 1, requests: [{ id }] });
    pool.pass(10_000);
    const { summary, placement } = pool.run.query('explain', { id, minRevision: '0' }, { now: pool.now });
    expect(summary).toBe('has waited 10s for an agent, for another 50s at most');
    expect(placement?.fitting).toBe(0);
  });
});

describe('among those who wait', () => {
  test("a swarm's own go by priority, then age", () => {
    const pool = new Pool();
    const [old, urgent] = [ask(pool), ask(pool, { priority: 5 })];
    pool.register('x', { swarm: 'b' });
    expect(waiting(pool)).toEqual([old]);
    expect(urgent).not.toBe(old);
  });

  test('between swarms the one that had least goes first, whatever its priority', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'c' });
    const [flood] = [ask(pool, { priority: 9 }), ask(pool, { priority: 9 }), ask(pool, { priority: 9 })];
    const late = ask(pool, { swarm: 'b' });
    expect(flood).toBe('');
    const before = leases(pool)[0]?.id ?? '';
    pool.pass(1000);
    release(pool, before);
    expect(waiting(pool)).not.toContain(late);
  });

  const wish = fc.record({
    swarm: fc.constantFrom('a', 'b', 'c'),
    capabilities: fc.subarray(['ts', 'js']),
    lender: fc.constantFrom('', '', 'c'),
    priority: fc.nat({ max: 2 }),
  });
  const step = fc.oneof(
    { weight: 3, arbitrary: wish.map((change) => ({ do: 'ask' as const, change })) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('register' as const),
        swarm: fc.constantFrom('a', 'b', 'c'),
        capabilities: fc.subarray(['ts', 'js']),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), ms: fc.nat({ max: 5000 }) }) },
  );

  /** Who of all that wait should have an agent, found by looking at each. */
  function expected({ run: { state } }: Pool, offer: Offer): string | undefined {
    const fits = [...state.requests.values()].filter(({ wish: { swarm, lender, ...rest } }) => {
      const isWanted = swarm !== offer.home && (lender === '' || lender === offer.home);
      return isWanted && meets(offer, wishOf({ swarm, ...rest }).need);
    });
    fits.sort((a, b) => {
      if (a.wish.swarm === b.wish.swarm) return b.wish.priority - a.wish.priority || a.order - b.order;
      return a.wish.swarm < b.wish.swarm ? -1 : 1;
    });
    const heads = fits.filter(({ wish: { swarm } }, i) => fits.findIndex((each) => each.wish.swarm === swarm) === i);
    heads.sort((a, b) => state.fair.tag(a.wish.swarm) - state.fair.tag(b.wish.swarm) || a.order - b.order);
    return heads[0]?.id;
  }

  test('in every history the next is the one that looking at each would find', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), (steps) => {
        const pool = new Pool();
        for (const [i, one] of steps.entries()) {
          const known = new Set(leases(pool).map(({ id }) => id));
          const granted = () => leases(pool).filter(({ id }) => !known.has(id));
          if (one.do === 'ask') ask(pool, { ...one.change, lender: one.change.swarm === 'c' ? '' : one.change.lender });
          if (one.do === 'release') {
            pool.pass(one.ms);
            const lease = leases(pool).find(({ state }) => state === 'LEASE_STATE_ACTIVE');
            if (lease) release(pool, lease.id);
          }
          if (one.do === 'register') {
            const rest = { region: '', labels: NO_LABELS, specialisations: new Set<string>(), allowScripts: false };
            const next = expected(pool, { home: one.swarm, capabilities: new Set(one.capabilities), ...rest });
            pool.register(`n${i}`, one);
            expect(granted().map(({ id }) => id)).toEqual(next ? [next.replace('request', 'lease')] : []);
          }
        }
        expect(pool.run.restore().asking.size).toBe(pool.run.state.asking.size);
      }),
      { numRuns: 60 },
    );
  });
});
