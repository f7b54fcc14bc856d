import { expect, test } from 'vitest';
import type { RebalancePlan } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { planText } from './rebalance.ts';

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
