import { describe, expect, test } from 'vitest';
import type { AutoRebalance, RebalanceBy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool } from './fixtures.ts';

/** The pool rebalances by itself, as its policy says. */

const EVERY_MS = 10_000;

const rules = (by: RebalanceBy = 'REBALANCE_BY_LEASE', highPercent = 0) => ({
  ...{ type: '', lowPercent: 0, highPercent, reservePercent: 0, by },
});
const automatic = (pool: Pool, change: Partial<AutoRebalance> = {}) => {
  const rebalance = { everyMs: EVERY_MS, rules: rules(), looks: 0, maxMoves: 0, termMs: 0, graceMs: 0, ...change };
  const input = { typicalCost: 0, ageingMs: 0, expectedVersion: '0', rebalance };
  return pool.run.execute('setPolicy', input, { now: pool.now }).policy;
};
const report = (pool: Pool) =>
  pool.run.query('planRebalance', { rules: undefined, minRevision: '0' }, { now: pool.now }).automatic;
const homes = (pool: Pool) =>
  [...pool.run.state.agents.values()]
    .map(({ serving }) => serving)
    .sort()
    .join('');
const at = (ms: number) => new Date(ms).toISOString();

/** Swarm a has two agents and `tasks` tasks, swarm b six idle agents. */
function uneven(tasks: number, change?: Partial<AutoRebalance>): Pool {
  const pool = new Pool();
  for (let i = 0; i < 2; i++) pool.register(`x${i}`);
  for (let i = 0; i < 6; i++) pool.register(`y${i}`, { swarm: 'b' });
  if (change) automatic(pool, change);
  submit(pool, tasks);
  return pool;
}

/** Tasks that run, so that time brings about nothing else. */
function submit(pool: Pool, tasks: number, name = 't'): void {
  for (let i = 0; i < tasks; i++) pool.submit(`${name}${i}`);
  confirm(pool);
}

function confirm(pool: Pool): void {
  for (const { id, state } of [...pool.run.state.tasks.values()]) if (state === 'TASK_STATE_ASSIGNED') pool.confirm(id);
}

describe('automatic rebalancing', () => {
  test('is off as long as nobody turned it on, and when it is turned off again', () => {
    const pool = uneven(4);
    pool.pass(3_600_000);
    expect(homes(pool)).toBe('aabbbbbb');
    expect(report(pool)).toBeUndefined();
    automatic(pool);
    automatic(pool, { everyMs: 0 });
    const from = pool.run.events.length;
    pool.pass(60_000);
    expect(pool.types(from)).not.toContain('rebalance.looked');
    expect(report(pool)).toMatchObject({ rules: { everyMs: 0 }, found: '' });
  });

  test('moves what a plan would when two looks have found it, and tells what and why', () => {
    const pool = uneven(4, {});
    const began = pool.now;
    const from = pool.run.events.length;
    pool.pass(EVERY_MS - 1);
    expect(pool.types(from)).toEqual([]);
    pool.pass(1);
    expect(pool.types(from)).toEqual(['rebalance.looked']);
    expect(report(pool)).toMatchObject({
      ...{ looks: 1, found: '3 agents for a: seen 1 of 2 times' },
      ...{ lookedAt: at(began + EVERY_MS), nextAt: at(began + 2 * EVERY_MS), moved: undefined },
    });
    expect(homes(pool)).toBe('aabbbbbb');
    pool.pass(EVERY_MS);
    expect(homes(pool)).toBe('aaaaabbb');
    const { moved, ...rest } = report(pool) ?? {};
    expect(rest).toMatchObject({ looks: 0, found: '3 agents for a', movedAt: at(pool.now) });
    expect(moved?.moves).toMatchObject([{ agent: 'b/y0', to: 'a' }, { agent: 'b/y1' }, { agent: 'b/y2' }]);
    expect(moved?.moves[0]?.reason).toContain('swarm a has 4 tasks for 2 slots (200%), over 90%');
    const [lease] = [...pool.run.state.leases.values()];
    expect(lease).toMatchObject({ id: moved?.moves[0]?.id, termMs: 600_000, why: moved?.moves[0]?.reason });
    expect(pool.run.restore().balances.get('balance')).toEqual(pool.run.state.balances.get('balance'));
  });

  test('a peak that passes moves nobody; a load that stays is balanced once', () => {
    const pool = uneven(4, {});
    pool.pass(EVERY_MS);
    for (let i = 0; i < 4; i++) {
      confirm(pool);
      pool.report(`t${i}`);
    }
    pool.pass(EVERY_MS);
    expect(report(pool)).toMatchObject({ looks: 0, found: 'no swarm is above the band' });
    submit(pool, 4, 'u');
    pool.pass(EVERY_MS);
    pool.pass(EVERY_MS);
    confirm(pool);
    expect(homes(pool)).toBe('aaaaabbb');
    const from = pool.run.events.length;
    for (let i = 0; i < 10; i++) pool.pass(EVERY_MS);
    expect(new Set(pool.types(from))).toEqual(new Set(['rebalance.looked']));
    expect(homes(pool)).toBe('aaaaabbb');
  });

  test('moves so many at once, and the rest by later looks', () => {
    const pool = uneven(7, { looks: 1, maxMoves: 2 });
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      pool.pass(EVERY_MS);
      confirm(pool);
      seen.push(homes(pool));
    }
    expect(seen).toEqual(['aaaabbbb', 'aaaaaabb', 'aaaaaaaa', 'aaaaaaaa']);
  });

  test('for good, by migrations, and as lending policies allow', () => {
    const pool = uneven(4, { looks: 1, rules: rules('REBALANCE_BY_MIGRATION'), graceMs: 5000 });
    pool.pass(EVERY_MS);
    expect([...pool.run.state.migrations.values()]).toMatchObject([
      { agent: 'b/y0', to: 'a', by: 'rebalance', graceMs: 5000 },
      { agent: 'b/y1' },
      { agent: 'b/y2' },
    ]);
    const closed = new Pool();
    closed.register('y', { swarm: 'b' });
    const policy = { swarm: 'b', closed: true, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
    const set = { policy: { ...policy, version: '0', setBy: '' }, expectedVersion: '0' };
    closed.run.execute('setLendingPolicy', set);
    automatic(closed, { looks: 1 });
    closed.submit('t');
    closed.pass(EVERY_MS);
    expect(report(closed)?.found).toBe('2 slots are missing, and no agent can be moved');
    expect(report(closed)?.moved).toBeUndefined();
  });

  test('other rules count from when they were set, the same ones change nothing', () => {
    const pool = uneven(4, {});
    pool.pass(EVERY_MS);
    expect(report(pool)?.looks).toBe(1);
    automatic(pool, { everyMs: 60_000 });
    expect(report(pool)).toMatchObject({ looks: 0, found: '', nextAt: at(pool.now + 60_000) });
    automatic(pool, { everyMs: 60_000 });
    pool.pass(60_000);
    expect(report(pool)?.looks).toBe(1);
  });
});
