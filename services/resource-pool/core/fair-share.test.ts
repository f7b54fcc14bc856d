import { expect, test } from 'vitest';
import { seeded } from '../../../libs/kernel/rng.ts';
import { Table } from '../../../libs/kernel/table.ts';
import { FairShare, sweepShares } from './fair-share.ts';
import { Pool, START, wanted } from './fixtures.ts';
import type { LimitsRow, ShareRow } from './rows.ts';

/** Jain's index of what each has had: 1 = all the same, 1/n = one has everything. */
const jain = (had: readonly number[]): number =>
  had.reduce((sum, x) => sum + x, 0) ** 2 / (had.length * had.reduce((sum, x) => sum + x * x, 0));

const HOUR = 3_600_000;

/**
 * Four agents of swarm d and three borrowers for an hour: a asks for 600 agents at once, b and c for one whenever they
 * have none waiting. Everyone gives an agent back after 5 to 25 seconds. Gives the agents' time that each has had.
 */
function contend(order: 'fair' | 'first come'): number[] {
  const random = seeded(7);
  const swarms = ['a', 'b', 'c'];
  const pool = new Pool();
  for (let i = 0; i < 4; i++) pool.register(`n${i}`, { swarm: 'd' });
  const had = new Map(swarms.map((swarm) => [swarm, 0]));
  const ends = new Map<string, number>();
  const ask = (swarm: string) =>
    pool.run.execute('requestAgent', wanted({ swarm, waitMs: HOUR, termMs: 60_000 }), { now: pool.now });
  for (let i = 0; i < 600; i++) ask('a');
  while (pool.now < START + HOUR) {
    for (const swarm of ['b', 'c']) {
      if (![...pool.run.state.requests.values()].some(({ wish }) => wish.swarm === swarm)) ask(swarm);
    }
    for (const lease of pool.run.state.leases.values()) {
      if (lease.endedAt > 0) continue;
      const end = ends.get(lease.id) ?? pool.now + 5000 + Math.floor(random() * 20_000);
      ends.set(lease.id, end);
      if (end > pool.now) continue;
      had.set(lease.borrower, (had.get(lease.borrower) ?? 0) + end - lease.grantedAt);
      pool.run.execute('releaseLease', { lease: lease.id }, { now: pool.now });
    }
    pool.pass(1000);
    if (order === 'first come') for (const swarm of swarms) pool.run.state.shares.set(swarm, { served: 0 });
  }
  return [...had.values()];
}

test('a swarm that floods the queue delays itself: Jain is near 1, and far from it when the first come goes first', () => {
  expect(jain(contend('fair'))).toBeGreaterThan(0.98);
  expect(jain(contend('first come'))).toBeLessThan(0.8);
});

test('a share is in proportion to its weight', () => {
  const fair = new FairShare(new Table<ShareRow>(), new Map([['a', { weight: 3000 } as LimitsRow]]));
  const had = { a: 0, b: 0 };
  for (let i = 0; i < 400; i++) {
    const next = fair.tag('a') <= fair.tag('b') ? 'a' : 'b';
    fair.grant(next, 60_000);
    had[next]++;
  }
  expect(had).toEqual({ a: 300, b: 100 });
});

test('who did not ask for long neither hoards nor pays', () => {
  const fair = new FairShare(new Table<ShareRow>(), new Map());
  for (let i = 0; i < 10; i++) fair.grant('a', 1000);
  expect(fair.tag('b')).toBe(9000);
  fair.grant('b', 1000);
  expect([fair.tag('a'), fair.tag('b')]).toEqual([10_000, 10_000]);
});

test('what is given back early is not paid for', () => {
  const fair = new FairShare(new Table<ShareRow>(), new Map());
  fair.grant('a', 60_000);
  fair.prolong('a', -50_000);
  fair.grant('b', 60_000);
  expect([fair.tag('a'), fair.tag('b')]).toEqual([10_000, 60_000]);
});

test('the shares of swarms that others have overtaken are dropped once they are many', () => {
  const shares = new Table<ShareRow>();
  const fair = new FairShare(shares, new Map());
  for (let i = 0; i < 400; i++) {
    fair.grant(`s${i}`, 1);
    fair.grant('a', 1000);
    fair.grant('a', 1000);
    sweepShares(shares);
  }
  expect(shares.size).toBeLessThan(300);
});
