import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Choice } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { ExplainResponse } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, spec, wanted } from './fixtures.ts';
import { meets, type Wish, wishOf } from './need.ts';
import { type AgentRow, currentAttempt } from './rows.ts';
import { Scoring } from './score.ts';
import type { PoolState } from './state.ts';
import { offerOf } from './workers.ts';

/** All that could be chosen, best first, by looking at every agent, from the rows alone. */
function byScan(state: PoolState, wish: Wish, may: (agent: AgentRow) => boolean): { key: string; score: number }[] {
  const scoring = new Scoring();
  for (const policy of state.policies.values()) scoring.use(policy);
  const found: { key: string; score: number }[] = [];
  for (const agent of state.agents.values()) {
    const busy = [...state.tasks.values()].filter((task) => currentAttempt(task)?.agent === agent.key).length;
    if (agent.state !== 'AGENT_STATE_READY' || agent.draining || busy >= agent.slots) continue;
    if (agent.type !== 'lint' || !may(agent) || !meets(offerOf(agent), wish.need)) continue;
    const merit = scoring.merit(agent, state.measures.get(agent.key));
    found.push({ key: agent.key, score: scoring.fit(offerOf(agent), wish) + scoring.rank(merit, busy, agent.slots) });
  }
  return found.sort((a, b) => b.score - a.score || (a.key < b.key ? -1 : 1));
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
const told = (choice: Choice | undefined) => ({
  candidates: choice?.candidates ?? 0,
  best: (choice?.best ?? []).map(({ agent, points }) => ({ key: agent, score: sum(points) })),
});

const swarm = fc.constantFrom('a', 'b', 'c');
const selector = fc.record({
  region: fc.constantFrom('', 'north', 'south'),
  specialisations: fc.subarray(['rust', 'sql']),
  labels: fc.constantFrom<Record<string, string>>({}, {}, { gpu: 'yes' }),
});
const capabilities = fc.subarray(['ts', 'js']);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      ...{ swarm, capabilities, name: fc.nat({ max: 6 }), priority: fc.constantFrom(0, 0, 500) },
      region: fc.constantFrom('', 'north', 'south'),
      specialisations: fc.subarray(['rust', 'sql']),
      labels: fc.constantFrom<Record<string, string>>({}, { gpu: 'yes' }),
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('submit' as const), swarm, selector, capabilities }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('borrow' as const), swarm, selector, capabilities }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ask' as const), swarm, selector, capabilities }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), lease: fc.nat({ max: 9 }) }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      task: fc.nat({ max: 30 }),
      outcome: fc.constantFrom('OUTCOME_SUCCEEDED' as const, 'OUTCOME_FAILED' as const),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const pick = <T>(all: readonly T[], index: number): T | undefined => all[index % Math.max(1, all.length)];

/** Takes a step; what it gives out at once is compared with what a scan over the state before would have compared. */
function take(pool: Pool, one: Step, count: number): void {
  const { state } = pool.run;
  const compare = (choice: Choice | undefined, scan: ReturnType<typeof byScan>) =>
    state.keptScores > 0 && expect(told(choice)).toEqual({ candidates: scan.length, best: scan.slice(0, 3) });
  switch (one.do) {
    case 'register':
      return pool.register(`n${one.name}`, { ...one, slots: 3, name: `n${one.name}` });
    case 'submit': {
      const wish = wishOf(spec(one));
      const scan = byScan(state, wish, ({ serving }) => serving === wish.swarm);
      pool.submit(`t${count}`, { ...one, maxAttempts: 2 });
      return void compare(state.tasks.get(`t${count}`)?.choice, scan);
    }
    case 'borrow': {
      const wish = wanted(one);
      const may = ({ home, lease }: AgentRow) => home !== wish.swarm && lease === '';
      const scan = byScan(state, wishOf(wish), may);
      if (scan.length === 0) return;
      const id = pool.run.execute('requestAgent', wish).lease?.id ?? '';
      return void compare(state.leases.get(id)?.choice, scan);
    }
    case 'ask':
      return void pool.run.execute('requestAgent', wanted({ ...one, waitMs: 3_000_000 }), { now: pool.now });
    case 'release': {
      const lease = pick(
        [...state.leases.values()].filter(({ endedAt }) => endedAt === 0),
        one.lease,
      );
      return lease && void pool.run.execute('releaseLease', { lease: lease.id });
    }
    case 'report': {
      const task = pick([...state.tasks.values()].filter(currentAttempt), one.task);
      return task && pool.report(task.id, one.outcome);
    }
  }
}

/** Of every choice, also where an agent had become free: the chosen one stands first, the others by score. */
function checkKept(pool: Pool): void {
  for (const { event } of pool.run.events) {
    if (event.type !== 'task.assigned' && event.type !== 'lease.granted') continue;
    const { agent, choice } = event.data;
    const { candidates, best } = told(choice);
    expect([best[0]?.key, best.length]).toEqual([agent, Math.min(3, candidates)]);
    const compared = choice?.best.slice(choice.waiting > 0 ? 1 : 0).filter(({ avoided }) => !avoided) ?? [];
    const scores = compared.map(({ points }) => sum(points));
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  }
}

/** Who was given what. */
const given = (pool: Pool) =>
  pool.run.events.flatMap(({ event }) =>
    event.type === 'task.assigned' || event.type === 'lease.granted' ? [`${event.type} ${event.data.agent}`] : [],
  );

test('what is kept of every choice is what a scan over all agents would have compared', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }), (steps) => {
      const [pool, bare] = [new Pool(), new Pool({ keptScores: 0 })];
      for (const [i, one] of steps.entries()) for (const each of [pool, bare]) take(each, one, i);
      checkKept(pool);
      expect(given(pool)).toEqual(given(bare));
      const restored = pool.run.restore();
      for (const { id, choice } of pool.run.state.tasks.values()) {
        expect(restored.tasks.get(id)?.choice).toEqual(choice);
      }
    }),
    { numRuns: 100 },
  );
});

const ask = (pool: Pool, id: string): ExplainResponse =>
  pool.run.query('explain', { id, minRevision: '0' }, { now: pool.now });
const rank = ({ choice }: ExplainResponse) => choice?.best.map(({ agent, behind }) => [agent, behind]);

describe('explained', () => {
  test('the score by part, the runners-up and what put them behind, as it was then', () => {
    const pool = new Pool();
    pool.register('dear', { cost: 100 });
    pool.register('good', { priority: 1000 });
    pool.register('twin', { priority: 1000 });
    pool.register('poor', { cost: 900 });
    pool.submit('t');
    const answer = ask(pool, 't');
    expect(answer.choice).toMatchObject({
      ...{ candidates: 4, policyVersion: '1' },
      summary: 'a/good had the highest score of 4 agents that could have it',
    });
    expect(answer.choice?.best[0]).toEqual({
      agent: 'a/good',
      score: 843.75,
      parts: { performance: 93.75, free: 250, locality: 300, specialisation: 100, priority: 50, cost: 50 },
      behind: '',
    });
    expect(rank(answer)).toEqual([
      ['a/good', ''],
      ['a/twin', 'has the same score and a later name'],
      ['a/dear', '50 less for priority, 25 less for cost'],
    ]);
    pool.run.execute('setPolicy', { typicalCost: 7, ageingMs: 0, expectedVersion: '0' });
    pool.register('good', { instance: 'i2', cost: 1000 });
    pool.register('later', { priority: 1000 });
    pool.report('t');
    expect(ask(pool, 't').choice?.best[0]?.agent).not.toBe('a/good');
  });

  test('a task that is tried again: the agent of the attempt before goes last', () => {
    const pool = new Pool();
    pool.register('best', { priority: 1000 });
    pool.register('next');
    pool.submit('t');
    pool.report('t', 'OUTCOME_FAILED');
    const answer = ask(pool, 't');
    expect(answer.choice?.summary).toBe('a/next had the highest score of the others of 2 agents that could have it');
    expect(rank(answer)).toEqual([
      ['a/next', ''],
      ['a/best', 'had the attempt before'],
    ]);
  });

  test('a request that waited: whose turn it was; its own id still answers; the place of those that wait', () => {
    const pool = new Pool();
    const waits = (swarm: string, priority = 0) =>
      pool.run.execute('requestAgent', wanted({ swarm, lender: 'd', waitMs: 60_000, priority })).request;
    const [first, second, urgent, third] = [waits('a'), waits('a'), waits('a', 9), waits('b')];
    expect([urgent, third, first, second].map((id) => ask(pool, id).placement?.ahead)).toEqual([0, 1, 2, 3]);
    expect(ask(pool, third).request?.wish?.swarm).toBe('b');
    pool.register('x', { swarm: 'd' });
    const answer = ask(pool, urgent);
    expect(answer.lease?.agent).toBe('d/x');
    expect(answer.choice?.summary).toBe(
      "d/x had become free, the only agent that could have it, and of 4 requests this one's turn had come",
    );
  });

  test('what was decided by a version that kept nothing says nothing', () => {
    const pool = new Pool({ keptScores: 0 });
    pool.register('x');
    pool.submit('t');
    expect(pool.run.events.at(-1)?.event.data).toEqual({
      ...{ task: 't', attempt: 1, agent: 'a/x', instance: 'i1', lease: '' },
      choice: undefined,
    });
    expect(ask(pool, 't').choice).toBeUndefined();
  });
});
