import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PlacementWeights, RequestAgentRequest, TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, queen, spec, wanted } from './fixtures.ts';
import { meets, type Wish, wishOf } from './need.ts';
import { type AgentRow, currentAttempt } from './rows.ts';
import { FULL, Scoring } from './score.ts';
import type { PoolState } from './state.ts';
import { offerOf } from './workers.ts';

/** What a scan over all agents would choose, from the rows alone. */
function byScan(state: PoolState, type: string, wish: Wish, may: (agent: AgentRow) => boolean): string | undefined {
  const scoring = new Scoring();
  for (const policy of state.policies.values()) scoring.use(policy);
  let best: { key: string; score: number } | undefined;
  for (const agent of state.agents.values()) {
    const tasks = [...state.tasks.values()].filter((task) => currentAttempt(task)?.agent === agent.key);
    const isOpen = agent.state === 'AGENT_STATE_READY' && !agent.draining && tasks.length < agent.slots;
    if (!isOpen || agent.type !== type || !may(agent) || !meets(offerOf(agent), wish.need)) continue;
    const merit = scoring.merit(agent, state.measures.get(agent.key));
    const score = scoring.fit(offerOf(agent), wish) + scoring.rank(merit, tasks.length, agent.slots);
    if (!best || score > best.score || (score === best.score && agent.key < best.key)) best = { key: agent.key, score };
  }
  return best?.key;
}

const swarm = fc.constantFrom('a', 'b', 'c');
const region = fc.constantFrom('', 'north', 'south');
const skills = fc.subarray(['ts', 'js']);
const specialisations = fc.subarray(['rust', 'sql', 'css']);
const labels = fc.constantFrom<Record<string, string>>({}, { gpu: 'yes' }, { gpu: 'no' });
const selector = fc.record({ region, specialisations, labels });
const weights = fc.array(fc.nat({ max: 250 }), { minLength: 5, maxLength: 5 }).map((five): PlacementWeights => {
  const [performance = 0, free = 0, locality = 0, specialisation = 0, priority = 0] = five.map((each) => each % 200);
  const cost = 1000 - performance - free - locality - specialisation - priority;
  return { performance, free, locality, specialisation, priority, cost };
});

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      ...{ swarm, region, specialisations, labels },
      agent: fc.nat({ max: 5 }),
      capabilities: skills,
      slots: fc.constant(3),
      priority: fc.constantFrom(0, 0, 500),
      cost: fc.constantFrom(0, 0, 100),
    }),
  },
  { weight: 9, arbitrary: fc.record({ do: fc.constant('submit' as const), swarm, selector, capabilities: skills }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('borrow' as const), swarm, selector, capabilities: skills }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      task: fc.nat({ max: 30 }),
      ms: fc.constantFrom(0, 10, 1000),
      outcome: fc.constantFrom('OUTCOME_SUCCEEDED', 'OUTCOME_SUCCEEDED', 'OUTCOME_FAILED', 'OUTCOME_LOST'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('observe' as const),
      ...{ swarm, agent: fc.nat({ max: 5 }) },
      state: fc.constantFrom('READY' as const, 'SUSPECT' as const, 'UNREACHABLE' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('weigh' as const), weights }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Submits, and compares who gets the task with what a scan over the state before chooses. */
function submit(pool: Pool, id: string, change: Partial<TaskSpec>): void {
  const wish = wishOf(spec(change));
  const expected = byScan(pool.run.state, 'lint', wish, (agent) => agent.serving === wish.swarm);
  expect(pool.submit(id, { ...change, maxAttempts: 1 }).attempts.at(-1)?.agent).toBe(expected);
}

function borrow(pool: Pool, change: Partial<RequestAgentRequest>): void {
  const wish = wishOf(wanted(change));
  const may = (agent: AgentRow) => agent.home !== wish.swarm && agent.lease === '';
  const expected = byScan(pool.run.state, 'lint', wish, may);
  const ask = () => pool.run.execute('requestAgent', wanted(change)).lease?.agent;
  if (expected === undefined) expect(ask).toThrow(/no agent/);
  else expect(ask()).toBe(expected);
}

function take(pool: Pool, one: Step, count: number): void {
  switch (one.do) {
    case 'register':
      return pool.register(`n${one.agent}`, one);
    case 'submit':
      return submit(pool, `t${count}`, one);
    case 'borrow':
      return borrow(pool, one);
    case 'report': {
      pool.pass(one.ms);
      const running = [...pool.run.state.tasks.values()].filter(currentAttempt);
      const task = running[one.task % Math.max(1, running.length)];
      return task && pool.report(task.id, one.outcome as 'OUTCOME_LOST');
    }
    case 'observe':
      return pool.run.state.agents.has(`${one.swarm}/n${one.agent}`)
        ? pool.observe(`${one.swarm}/n${one.agent}`, one.state)
        : undefined;
    case 'weigh':
      return void pool.run.execute('setPolicy', {
        weights: one.weights,
        typicalCost: 0,
        ageingMs: 0,
        expectedVersion: '0',
      });
  }
}

test('in every history the index chooses exactly what a scan over all agents would', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 100, size: 'max' }), (steps) => {
      const pool = new Pool();
      for (const [i, one] of steps.entries()) take(pool, one, i);
      const restored = pool.run.restore();
      for (const key of pool.run.state.agents.keys()) {
        expect(restored.workers.get(key)?.rank).toBe(pool.run.state.workers.get(key)?.rank);
      }
    }),
    { numRuns: 150 },
  );
});

const measured = (pool: Pool, key: string) => pool.run.state.measures.get(key);

describe('what is learnt', () => {
  test('an agent that often fails falls behind one without history, and that behind one that is proven', () => {
    const pool = new Pool();
    for (const [name, outcome] of [
      ['bad', 'OUTCOME_FAILED'],
      ['good', 'OUTCOME_SUCCEEDED'],
    ] as const) {
      pool.register(name);
      for (let i = 0; i < 4; i++) {
        pool.submit(`${name}${i}`, { maxAttempts: 1 });
        pool.report(`${name}${i}`, outcome);
      }
      pool.observe(`a/${name}`, 'SUSPECT');
    }
    pool.register('new');
    for (const name of ['bad', 'good']) pool.observe(`a/${name}`, 'READY');
    for (const id of ['t1', 't2', 't3']) pool.submit(id);
    expect(['t1', 't2', 't3'].map((id) => pool.where(id).slice(12))).toEqual(['a/good', 'a/new', 'a/bad']);
  });

  test('the faster of two that always succeed goes first', () => {
    const pool = new Pool();
    pool.register('hare');
    pool.register('aardvark');
    for (let i = 0; i < 6; i++) {
      const ids = [`s${i}`, `t${i}`];
      for (const id of ids) pool.submit(id);
      const at = (name: string) => ids.find((id) => pool.where(id).endsWith(name)) as string;
      for (const id of ids) pool.confirm(id);
      const [fast, slow] = [at('hare'), at('aardvark')];
      pool.pass(1000);
      pool.report(fast);
      pool.pass(3000);
      pool.report(slow);
    }
    pool.submit('next');
    expect(pool.where('next')).toBe('ASSIGNED on a/hare');
    expect(measured(pool, 'a/hare')?.slowness).toBeLessThan(measured(pool, 'a/aardvark')?.slowness ?? 0);
    const { agent } = pool.run.query('getAgent', { swarm: 'a', name: 'hare' });
    expect(agent?.performance).toMatchObject({ samples: 6 });
  });

  test("a failure that is the task's own, a cancel and an assignment that never began say nothing of the agent", () => {
    const pool = new Pool();
    pool.register('x');
    for (const [id, outcome] of [
      ['t1', 'OUTCOME_TERMINAL'],
      ['t2', 'OUTCOME_CANCELLED'],
      ['t3', 'OUTCOME_LOST'],
    ] as const) {
      pool.submit(id, { maxAttempts: 1 });
      pool.report(id, outcome);
    }
    expect(measured(pool, 'a/x')).toBeUndefined();
  });

  test('it goes with the agent, and what is known of a type with the last of its agents', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.report('t1');
    expect([pool.run.state.measures.size, pool.run.state.norms.size]).toEqual([1, 1]);
    pool.register('x', { instance: 'i2', type: 'test' });
    expect([pool.run.state.measures.size, pool.run.state.norms.size]).toEqual([1, 0]);
    pool.run.execute('deregisterAgent', { swarm: 'a', name: 'x', instance: '' });
    expect(pool.run.state.measures.size).toBe(0);
  });
});

describe('the policy', () => {
  const only = (name: keyof PlacementWeights): PlacementWeights => {
    const none = { performance: 0, free: 0, locality: 0, specialisation: 0, priority: 0, cost: 0 };
    return { ...none, [name]: 1000 };
  };
  const set = (pool: Pool, change: object, principal = pool.operator) =>
    pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 0, expectedVersion: '0', ...change }, { principal })
      .policy;

  test('decides from the next decision on', () => {
    const pool = new Pool();
    pool.register('cheap', { cost: 1, priority: 0 });
    pool.register('dear', { cost: 900, priority: 1000 });
    set(pool, { weights: only('cost') });
    pool.submit('t1');
    expect(pool.where('t1')).toBe('ASSIGNED on a/cheap');
    pool.report('t1');
    expect(set(pool, { weights: only('priority') })).toMatchObject({ version: '3', setBy: 'operator:ada' });
    pool.submit('t2');
    expect(pool.where('t2')).toBe('ASSIGNED on a/dear');
  });

  test('region and specialisation are preferred, labels demanded', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b', region: 'north' });
    pool.register('y', { swarm: 'b', specialisations: ['sql'], labels: { gpu: 'yes' } });
    const ask = (change: object) =>
      pool.run.execute('requestAgent', wanted({ selector: { labels: {}, specialisations: [], region: '', ...change } }))
        .lease;
    const back = (lease = '') => pool.run.execute('releaseLease', { lease });
    const north = ask({ region: 'north' });
    back(north?.id);
    const sql = ask({ specialisations: ['sql', 'css'] });
    back(sql?.id);
    expect([north?.agent, sql?.agent, ask({ labels: { gpu: 'yes' } })?.agent]).toEqual(['b/x', 'b/y', 'b/y']);
    expect(() => ask({ labels: { gpu: 'no' } })).toThrow(/2 candidates .* 2 lacking/);
  });

  test('only operators set it, and not over a version that they have not seen', () => {
    const pool = new Pool();
    expect(() => set(pool, { typicalCost: 7 }, queen('a'))).toThrow(/only an operator/);
    set(pool, { typicalCost: 7, expectedVersion: '1' });
    expect(() => set(pool, { typicalCost: 9, expectedVersion: '1' })).toThrow(/has version 2 .* not 1/);
    const { policy } = pool.run.query('getPolicy', { minRevision: '0' });
    expect(policy).toMatchObject({ typicalCost: 7, version: '2', weights: { locality: 300 } });
  });
});

test('a score is never more than a thousand full parts', () => {
  const scoring = new Scoring();
  const wish = wishOf(spec());
  const offer = offerOf({ home: 'a', region: '', capabilities: [], labels: {}, specialisations: [] } as never);
  const merit = scoring.merit({ priority: 1000, cost: 0 }, { success: 1_000_000, slowness: 0 });
  expect(scoring.fit(offer, wish) + scoring.rank(merit, 0, 4)).toBe(1000 * FULL);
});
