import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AutoRebalanceReport, RebalancePlan } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { lastText, planText } from './rebalance.ts';

beforeEach(() => void vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00.000Z') }));
afterEach(() => void vi.useRealTimers());

const plan: RebalancePlan = {
  moves: [
    {
      agent: 'docs/linter-1',
      ...{ from: 'docs', to: 'code', id: '' },
      reason:
        'swarm code has 6 tasks for 2 slots (300%), over 90%, then for 3 slots (200%); ' +
        'swarm docs has 0 tasks for 1 slot (0%), then for 0 slots',
    },
  ],
  swarms: [
    { swarm: 'code', type: 'linter', tasks: 6, slots: 2, slotsAfter: 3 },
    { swarm: 'docs', type: 'linter', tasks: 0, slots: 1, slotsAfter: 0 },
  ],
  missingSlots: 5,
  proved: true,
  shortages: [
    { type: 'counter', slots: 1, kept: [] },
    {
      type: 'linter',
      slots: 4,
      kept: ['swarm quality does not lend (closed)', 'swarm security does not lend (keeps 80%)'],
    },
  ],
};

test.each([80, 160])('a plan at %d columns', async (width) => {
  const text = planText(plan, width);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
  await expect(`${text}\n`).toMatchFileSnapshot(`golden/rebalance-${width}.txt`);
});

const report: AutoRebalanceReport = {
  rules: { everyMs: 30_000, rules: undefined, looks: 0, maxMoves: 0, termMs: 0, graceMs: 0 },
  lookedAt: '2026-03-01T11:59:50.000Z',
  nextAt: '2026-03-01T12:00:20.000Z',
  ...{ looks: 0, found: 'no swarm is above the band', movedAt: '2026-03-01T11:55:00.000Z', moved: plan },
};

test.each([80, 160])('what the pool did by itself at %d columns', async (width) => {
  await expect(`${lastText(report, width)}\n`).toMatchFileSnapshot(`golden/rebalance-last-${width}.txt`);
});

test('that it does nothing, did nothing yet, or does no more', () => {
  const { lookedAt: _, movedAt: __, moved: ___, ...fresh } = report;
  expect(lastText(undefined)).toContain('hivebus set policy --rebalance 30s');
  const none = { lookedAt: undefined, movedAt: undefined, moved: undefined };
  expect(lastText({ ...fresh, ...none }, 80)).toBe(
    'the pool looks every 30s; it has not looked yet\nit never moved anybody',
  );
  expect(lastText({ ...report, nextAt: undefined }, 80)).toContain(
    'the pool does not rebalance by itself any more\n5m',
  );
});
