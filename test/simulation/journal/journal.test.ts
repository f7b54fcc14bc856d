import { expect, test } from 'vitest';
import type { Sabotage } from '../../../libs/journal/ports.ts';
import { World } from './world.ts';

/** SIM_SEED runs one history; SIM_RUNS sets how many. */
const FIRST = Number(process.env['SIM_SEED'] ?? 1);
const RUNS = process.env['SIM_SEED'] ? 1 : Number(process.env['SIM_RUNS'] ?? 2000);

async function histories(first: number, runs: number, sabotage: Sabotage = {}) {
  const totals = { acked: 0, epochs: 0, voided: 0, snapshots: 0, compacted: 0, reads: 0, watched: 0, noRoom: 0 };
  for (let seed = first; seed < first + runs; seed++) {
    const world = new World(seed, sabotage);
    const violations = await world.run();
    if (violations.length > 0) return { seed, violations, totals };
    for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += world.stats[key];
  }
  return { seed: undefined, violations: [], totals };
}

test(`${RUNS} histories keep every promise`, { timeout: 600_000 }, async () => {
  const { seed, violations, totals } = await histories(FIRST, RUNS);
  expect(violations, `SIM_SEED=${seed} repeats it`).toEqual([]);
  console.log(`histories: ${RUNS}`, totals);
  // A simulation in which nothing goes wrong shows nothing.
  if (RUNS >= 100) for (const [what, count] of Object.entries(totals)) expect(count, what).toBeGreaterThan(RUNS / 20);
});

test('answering before the commit is caught', { timeout: 120_000 }, async () => {
  const { violations } = await histories(1, 200, { replyBeforeCommit: true });
  expect(violations.join()).toMatch(/was answered .* and is not in the log/);
});

test('ignoring the epoch is caught', { timeout: 120_000 }, async () => {
  const { violations } = await histories(1, 200, { ignoreEpoch: true });
  expect(violations.join()).toMatch(/differs from the log|the log has|the log \d/);
});
