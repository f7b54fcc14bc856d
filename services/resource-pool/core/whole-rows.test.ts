import { expect, test } from 'vitest';
import { Pool, wanted } from './fixtures.ts';
import { NO_LABELS, NONE } from './need.ts';
import type { AgentRow } from './rows.ts';
import type { PoolState } from './state.ts';
import { wholeAgent } from './whole-rows.ts';

/** The shapes of a state's rows: their fields in their order. */
const shapes = ({ agents, leases, tasks }: PoolState) =>
  [agents, leases, tasks, { values: () => [...tasks.values()].flatMap(({ attempts }) => attempts) }].map(
    (table) => new Set([...table.values()].map((row) => Object.keys(row).join())).size,
  );

test('rows of one table have the same fields in the same order: new ones, changed ones and those of a snapshot', () => {
  const pool = new Pool();
  for (const name of ['x', 'y']) pool.register(name, { swarm: 'b' });
  pool.register('z');
  const { lease } = pool.run.execute('requestAgent', wanted(), { now: pool.now });
  pool.run.execute('requestAgent', wanted(), { now: pool.now });
  pool.run.execute('renewLease', { lease: lease?.id ?? '' }, { now: pool.now });
  pool.run.execute('drainAgent', { swarm: 'a', name: 'z', instance: '', graceMs: 0, reason: '' });
  for (const id of ['t1', 't2', 't3', 't4']) pool.submit(id, { retry: { backoffMs: 100, maxBackoffMs: 0 } });
  pool.confirm('t1');
  pool.report('t1', 'OUTCOME_FAILED');
  pool.confirm('t2');
  pool.report('t2', 'OUTCOME_SUCCEEDED', { lines: 3 });
  pool.run.execute('releaseLease', { lease: lease?.id ?? '' });
  pool.pass(200);
  const restored = pool.run.restore();
  expect(pool.where('t2')).toBe('SUCCEEDED');
  expect([shapes(pool.run.state), shapes(restored)]).toEqual([
    [1, 1, 1, 1],
    [1, 1, 1, 1],
  ]);
  expect(restored.tasks.get('t2')).toEqual(pool.run.state.tasks.get('t2'));
});

test('an agent of an older snapshot gets what it lacks', () => {
  const pool = new Pool();
  pool.register('x', { cost: 7 });
  const { labels: _, specialisations: __, cost: ___, ...older } = pool.run.state.agents.get('a/x') as AgentRow;
  expect(wholeAgent(older as AgentRow)).toMatchObject({ labels: NO_LABELS, specialisations: NONE, cost: 0, slots: 1 });
});
