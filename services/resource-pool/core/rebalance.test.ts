import { describe, expect, test } from 'vitest';
import type { LendingPolicy, RebalanceRules } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, queen } from './fixtures.ts';

const rules = (change: Partial<RebalanceRules> = {}): RebalanceRules => ({
  ...{ type: '', lowPercent: 0, highPercent: 0, reservePercent: 0, by: 'REBALANCE_BY_LEASE' },
  ...change,
});

/** Swarm a has two agents and `tasks` tasks, swarm b six idle agents. */
function uneven(tasks: number): Pool {
  const pool = new Pool();
  for (let i = 0; i < 2; i++) pool.register(`x${i}`);
  for (let i = 0; i < 6; i++) pool.register(`y${i}`, { swarm: 'b' });
  for (let i = 0; i < tasks; i++) pool.submit(`t${i}`);
  return pool;
}

const planned = (pool: Pool, change: Partial<RebalanceRules> = {}) =>
  pool.run.query('planRebalance', { rules: rules(change), minRevision: '0' }, { now: pool.now }).plan;
const rebalanced = (pool: Pool, change: Partial<RebalanceRules> = {}, principal = pool.operator) =>
  pool.run.execute('rebalance', { rules: rules(change), termMs: 0, graceMs: 0 }, { principal, now: pool.now }).plan;
const lends = (pool: Pool, change: Partial<LendingPolicy>) => {
  const all = { swarm: 'b', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
  pool.run.execute('setLendingPolicy', {
    policy: { ...all, version: '0', setBy: '', ...change },
    expectedVersion: '0',
  });
};
const homes = (pool: Pool) =>
  [...pool.run.state.agents.values()]
    .map(({ serving }) => serving)
    .sort()
    .join('');

describe('rebalancing', () => {
  test('is planned with reasons, and changes nothing', () => {
    const pool = uneven(4);
    const from = pool.run.events.length;
    const plan = planned(pool);
    expect(plan?.moves.map(({ agent, from, to }) => [agent, from, to])).toEqual([
      ['b/y0', 'b', 'a'],
      ['b/y1', 'b', 'a'],
      ['b/y2', 'b', 'a'],
    ]);
    expect(plan?.moves[0]?.reason).toBe(
      'swarm a has 4 tasks for 2 slots (200%), over 90%, then for 5 slots (80%); ' +
        'swarm b has 0 tasks for 6 slots (0%), then for 3 slots (0%)',
    );
    expect(plan).toMatchObject({
      missingSlots: 0,
      proved: true,
      swarms: [
        { swarm: 'a', type: 'lint', tasks: 4, slots: 2, slotsAfter: 5 },
        { swarm: 'b', type: 'lint', tasks: 0, slots: 6, slotsAfter: 3 },
      ],
    });
    expect(pool.types(from)).toEqual([]);
  });

  test('by lease: tasks run at once, and the lease says why', () => {
    const pool = uneven(4);
    const plan = rebalanced(pool);
    expect(plan?.moves.length).toBe(3);
    expect(homes(pool)).toBe('aaaaabbb');
    expect([...pool.run.state.queue.depths()]).toEqual([]);
    const told = pool.run.query('explain', { id: plan?.moves[0]?.id ?? '', minRevision: '0' }, { now: pool.now });
    expect(told.history[0]?.text).toMatch(/^b\/y0 lent by b to a, unasked: swarm a has 4 tasks for 2 slots/);
    expect(rebalanced(pool)?.moves).toEqual([]);
  });

  test('by migration: agents that are on their way are not planned again', () => {
    const pool = uneven(4);
    const plan = rebalanced(pool, { by: 'REBALANCE_BY_MIGRATION' });
    expect([...pool.run.state.migrations.values()].map(({ id, state }) => [id, state])).toEqual(
      plan?.moves.map(({ id }) => [id, 'MIGRATION_STATE_TRANSFERRING']),
    );
    expect(planned(pool)?.moves).toEqual([]);
  });

  test('keeps to what swarms lend, and to what a taker may borrow', () => {
    const pool = uneven(4);
    lends(pool, { maxLent: 2 });
    expect(planned(pool)?.shortages).toEqual([
      { type: 'lint', slots: 1, kept: ['swarm b does not lend (at most 2 at once)'] },
    ]);
    expect(rebalanced(pool)).toMatchObject({ missingSlots: 1, moves: [{ agent: 'b/y0' }, { agent: 'b/y1' }] });
    const closed = uneven(4);
    lends(closed, { closed: true });
    const shortages = [{ type: 'lint', slots: 3, kept: ['swarm b does not lend (closed)'] }];
    expect(planned(closed)).toMatchObject({ missingSlots: 3, moves: [], shortages });
    const kept = uneven(4);
    lends(kept, { keepPercent: 80 });
    expect(planned(kept)?.moves.length).toBe(1);
    expect(planned(kept)?.shortages[0]?.kept).toEqual(['swarm b does not lend (keeps 80%)']);
    const limits = { swarm: 'a', weight: 0, maxRunning: 0, maxQueued: 0, maxLeases: 1, maxRequests: 0 };
    const limited = uneven(4);
    const given = { ...limits, submitsPerSecond: 0, submitBurst: 0, version: '0', setBy: '' };
    limited.run.execute('setSwarmLimits', { limits: given, expectedVersion: '0' });
    expect(planned(limited)?.moves.length).toBe(1);
  });

  test('sends only agents that can do what waits', () => {
    const pool = uneven(2);
    for (let i = 0; i < 3; i++) pool.submit(`ts${i}`, { capabilities: ['ts'] });
    expect(planned(pool)?.moves).toEqual([]);
    pool.register('able', { swarm: 'b', capabilities: ['ts'] });
    expect(planned(pool)?.moves.map(({ agent }) => agent)).toEqual(['b/able']);
  });

  test('of one type, or each by itself', () => {
    const pool = uneven(4);
    pool.register('z', { swarm: 'b', type: 'test' });
    pool.submit('test-1', { type: 'test' });
    expect(planned(pool)?.moves.map(({ agent }) => agent)).toEqual(['b/y0', 'b/y1', 'b/y2', 'b/z']);
    expect(planned(pool, { type: 'test' })?.moves.map(({ agent }) => agent)).toEqual(['b/z']);
  });

  test('is for operators', () => {
    expect(() => rebalanced(uneven(4), {}, queen('a'))).toThrow(/may not rebalance swarms/);
  });
});
