import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ExplainResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { SAMPLES } from '../kinds/fixtures.ts';
import { explanation } from './explain.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

const condition = (text: string, ruledOut: number, left: number, examples: string[] = []) => ({
  ...{ name: 'x', value: '', text, ruledOut, left, examples },
});

const waiting: ExplainResponse = {
  summary: 'has waited 4s for an agent',
  task: SAMPLES.task?.[1] as ExplainResponse['task'],
  history: [{ at: '2026-03-01T11:59:56.000Z', text: 'submitted by operator:local' }],
  placement: {
    agents: 120,
    conditions: [
      condition('is of type counter', 100, 20, ['code/linter-1', 'code/linter-2', 'quality/a-tester-of-everything-1']),
      condition('belongs to swarm code, or is lent to it', 16, 4, ['docs/wc-1', 'docs/wc-2', 'docs/wc-3']),
      condition('can wc', 0, 4),
      condition('has a free slot', 4, 0, ['code/wc-1', 'code/wc-2', 'code/wc-3']),
    ],
    fitting: 0,
    ahead: 7,
    unblockers: [
      { kind: 'finish', text: 'a busy agent of type counter ends a task', agents: 4, at: undefined },
      { kind: 'return', text: 'an agent comes home from a lease', agents: 1, at: '2026-03-01T12:00:41.000Z' },
      {
        kind: 'register',
        text: 'another agent of type counter that fits starts for swarm code',
        agents: 0,
        at: undefined,
      },
    ],
  },
  revision: '77',
};

test.each([80, 160])('a waiting task at %d columns', async (width) => {
  await expect(`${explanation(waiting, width)}\n`).toMatchFileSnapshot(`golden/explain-${width}.txt`);
});
