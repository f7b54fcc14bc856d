import { expect, test } from 'vitest';
import type { ConsensusRule } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { Pool } from './fixtures.ts';
import { end, groupOf, groupRequest, states, submitGroup } from './group-fixtures.ts';

const ballot = (agents: number, change: Partial<ConsensusRule> = {}, slots = 2) => {
  const pool = new Pool();
  for (let i = 1; i <= agents; i++) pool.register(`x${i}`, { slots });
  const rule = { votes: 3, thresholdPercent: 0, tie: 'TIE_RULE_UNSPECIFIED', hearAll: false, ...change } as const;
  submitGroup(pool, 'g', [['v', { maxAttempts: 2 }]], { strategy: 'GROUP_STRATEGY_CONSENSUS', consensus: rule });
  return pool;
};
const agents = (pool: Pool) => [1, 2, 3].map((i) => pool.task(`g-v-${i}`).attempts.at(-1)?.agent);

test('each vote goes to another agent, however many slots an agent has', () => {
  const pool = ballot(2);
  expect(states(pool, 'g')).toBe('v-1:assigned v-2:assigned v-3:queued');
  expect(new Set(agents(pool).slice(0, 2)).size).toBe(2);
  pool.register('x3');
  expect(pool.where('g-v-3')).toBe('ASSIGNED on a/x3');
});

test('more than half decides; what cannot change it is cancelled, dissent is kept', () => {
  const pool = ballot(3);
  end(pool, 'g-v-1', 'SUCCEEDED', { answer: 41 });
  end(pool, 'g-v-2', 'SUCCEEDED', { answer: 42 });
  expect(groupOf(pool, 'g').state).toBe('GROUP_STATE_RUNNING');
  end(pool, 'g-v-3', 'SUCCEEDED', { answer: 42 });
  const { state, result, reason, tallies } = groupOf(pool, 'g');
  expect({ state, result, reason }).toEqual({
    state: 'GROUP_STATE_SUCCEEDED',
    result: { answer: 42 },
    reason: '2 of 3 votes, 2 were needed',
  });
  expect(tallies.map(({ tasks, won }) => [tasks, won])).toEqual([
    [['g-v-2', 'g-v-3'], true],
    [['g-v-1'], false],
  ]);
});

test('a decided group asks the other votes to end, unless it is to hear all', () => {
  const early = ballot(3);
  for (const id of ['g-v-1', 'g-v-2', 'g-v-3']) early.confirm(id);
  for (const id of ['g-v-1', 'g-v-2']) end(early, id, 'SUCCEEDED', 'yes');
  expect(early.task('g-v-3').cancelRequested).toBe(true);
  const patient = ballot(3, { hearAll: true });
  for (const id of ['g-v-1', 'g-v-2']) end(patient, id, 'SUCCEEDED', 'yes');
  expect(groupOf(patient, 'g').state).toBe('GROUP_STATE_RUNNING');
  end(patient, 'g-v-3', 'SUCCEEDED', 'no');
  expect(groupOf(patient, 'g').tallies).toHaveLength(2);
});

test('without a majority the group fails, or by the other rule the most, then the first vote wins', () => {
  const split = (tie: ConsensusRule['tie']) => {
    const pool = ballot(3, { tie });
    for (const [i, id] of ['g-v-3', 'g-v-1', 'g-v-2'].entries()) {
      pool.now += 10;
      end(pool, id, 'SUCCEEDED', ['c', 'a', 'b'][i]);
    }
    return groupOf(pool, 'g');
  };
  expect(split('TIE_RULE_UNSPECIFIED')).toMatchObject({
    state: 'GROUP_STATE_FAILED',
    result: undefined,
    reason: 'no result can have the 2 of 3 votes that it needs; the most is 1',
  });
  expect(split('TIE_RULE_MOST_THEN_FIRST')).toMatchObject({ state: 'GROUP_STATE_SUCCEEDED', result: 'c' });
});

test('a vote that fails is cast for nothing', () => {
  const pool = ballot(3, { thresholdPercent: 100 });
  end(pool, 'g-v-1', 'TERMINAL');
  const reason = 'no result can have the 3 of 3 votes that it needs; the most is 0';
  expect(groupOf(pool, 'g')).toMatchObject({ state: 'GROUP_STATE_ENDING', reason });
  for (const id of ['g-v-2', 'g-v-3']) end(pool, id, 'SUCCEEDED', 'late');
  expect(groupOf(pool, 'g')).toMatchObject({ state: 'GROUP_STATE_FAILED', reason });
});

test('a vote that is tried again frees its agent for the others', () => {
  const pool = ballot(2, {}, 1);
  const [first] = agents(pool);
  end(pool, 'g-v-1', 'FAILED');
  // The vote that waited longest, or the same one again, but never one agent twice.
  const holders = agents(pool).filter((agent) => agent !== undefined);
  expect(holders).toContain(first);
  const current = [1, 2, 3].map((i) => pool.where(`g-v-${i}`)).filter((where) => where.startsWith('ASSIGNED'));
  expect(new Set(current).size).toBe(2);
});

test('an agent may have a vote of each of several groups', () => {
  const pool = new Pool();
  pool.register('x', { slots: 2 });
  const rule = { votes: 2, thresholdPercent: 0, tie: 'TIE_RULE_UNSPECIFIED', hearAll: false } as const;
  for (const id of ['g', 'h']) {
    const request = groupRequest(id, [['v']], { strategy: 'GROUP_STRATEGY_CONSENSUS', consensus: rule });
    pool.run.execute('submitGroup', request);
  }
  pool.pass(0);
  expect([states(pool, 'g'), states(pool, 'h')]).toEqual(['v-1:assigned v-2:queued', 'v-1:assigned v-2:queued']);
});
