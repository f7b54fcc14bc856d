import { describe, expect, test } from 'vitest';
import type { GroupSpec } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { SubmitGroupRequest, TaskBudget, TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agentPrincipal, Pool, queen, spec, wanted } from './fixtures.ts';
import { groupRequest, type Named } from './group-fixtures.ts';

const over = (text: string) =>
  expect.objectContaining({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'OVER_BUDGET',
    retryable: false,
    message: expect.stringContaining(text),
  });

/** Submitted by a task. */
function delegate(pool: Pool, id: string, parent: string, change: Partial<TaskSpec> = {}, principal = queen('a')) {
  const origin = { parent, replayOf: '' };
  return pool.run.execute('submitTask', { id, spec: spec(change), origin }, { principal, now: pool.now });
}

const use = (pool: Pool, id: string) => pool.task(id).budgetUse;
const budget = (spend: number, hops = 0): { budget: TaskBudget } => ({ budget: { spend, hops } });

describe('spend', () => {
  test('each task below uses a unit of the same budget; beyond it nothing is accepted, and the message says why', () => {
    const pool = new Pool();
    pool.submit('t0', budget(4));
    delegate(pool, 't1', 't0');
    delegate(pool, 't2', 't1');
    delegate(pool, 't3', 't0');
    expect(use(pool, 't2')).toEqual({ task: 't0', budget: { spend: 4, hops: 0 }, used: 4 });
    expect(() => delegate(pool, 't4', 't2')).toThrow(
      over('the budget of task "t0" is 4 units, of which 4 are used; task "t4" asks for 1'),
    );
    expect(pool.run.state.tasks.has('t4')).toBe(false);
    expect(pool.task('t2').origin).toEqual({ parent: 't1', replayOf: '' });
  });

  test('an attempt that starts uses what its agent costs; one that would use too much fails its task', () => {
    const pool = new Pool();
    pool.register('x', { cost: 10, slots: 2 });
    pool.submit('t0', { ...budget(25), maxAttempts: 3 });
    expect(pool.confirm('t0').cancel).toBe(false);
    delegate(pool, 't1', 't0');
    pool.confirm('t1');
    expect(use(pool, 't0')?.used).toBe(22);
    pool.report('t1', 'OUTCOME_FAILED');
    expect(pool.confirm('t1').cancel).toBe(true);
    expect(pool.task('t1')).toMatchObject({
      state: 'TASK_STATE_FAILED',
      reason:
        'RESOURCE_EXHAUSTED: the budget of task "t0" is 25 units, of which 22 are used; an attempt on agent a/x asks for 10',
    });
    expect(use(pool, 't0')?.used).toBe(22);
  });

  test('a budget within another is a part of it', () => {
    const pool = new Pool();
    pool.submit('t0', budget(10));
    expect(() => delegate(pool, 't1', 't0', budget(10))).toThrow(
      over('is 10 units, of which 1 are used; task "t1" asks for 10'),
    );
    delegate(pool, 't1', 't0', budget(3));
    delegate(pool, 't2', 't1');
    delegate(pool, 't3', 't1');
    expect(use(pool, 't1')?.used).toBe(3);
    expect(use(pool, 't0')?.used).toBe(4);
    expect(() => delegate(pool, 't4', 't1')).toThrow(over('the budget of task "t1" is 3 units'));
    delegate(pool, 't4', 't0');
  });

  test('a task without a budget, or below one that has none, is asked nothing and writes nothing', () => {
    const pool = new Pool();
    pool.submit('t0');
    const from = pool.run.events.length;
    delegate(pool, 't1', 't0');
    delegate(pool, 't2', 'unknown');
    expect(pool.types(from)).toEqual(['task.submitted', 'task.submitted']);
    expect(use(pool, 't1')).toBeUndefined();
  });
});

describe('a group that a task submits', () => {
  const group = (pool: Pool, parent: string, change: Partial<SubmitGroupRequest> = {}, ...tasks: Named[]) => {
    const request = { ...groupRequest('g', tasks), origin: { parent, replayOf: '' }, ...change };
    return pool.run.execute('submitGroup', request, { principal: queen('a'), now: pool.now });
  };

  test('uses its budget, a unit for each of its tasks, or is refused as a whole', () => {
    const pool = new Pool();
    pool.submit('t0', budget(4));
    const from = pool.run.events.length;
    const five = () => group(pool, 't0', {}, ['a'], ['b'], ['c'], ['d'], ['e']);
    expect(five).toThrow(over('the budget of task "t0" is 4 units, of which 1 are used; group "g" asks for 5'));
    expect(() => group(pool, 't0', { dryRun: true }, ['a'], ['b', budget(9)])).toThrow(over('group "g" asks for 9'));
    expect(pool.types(from)).toEqual([]);
    group(pool, 't0', {}, ['a'], ['b', budget(2)]);
    expect(use(pool, 't0')?.used).toBe(3);
    expect(pool.task('g-a')).toMatchObject({ origin: { parent: 't0' }, budgetUse: { task: 't0' } });
    delegate(pool, 't1', 'g-b');
    expect([use(pool, 't0')?.used, use(pool, 'g-b')?.used]).toEqual([4, 2]);
    expect(() => delegate(pool, 't2', 'g-a')).toThrow(over('the budget of task "t0"'));
  });

  test('and each of its votes count, and so does how deep it is', () => {
    const pool = new Pool();
    pool.submit('t0', budget(3, 1));
    const consensus = { votes: 3, thresholdPercent: 0, tie: 'TIE_RULE_MOST_THEN_FIRST', hearAll: false } as const;
    const votes = { ...groupRequest('g', []).spec, strategy: 'GROUP_STRATEGY_CONSENSUS', consensus } as GroupSpec;
    expect(() => group(pool, 't0', { spec: votes }, ['a'])).toThrow(over('group "g" asks for 3'));
    group(pool, 't0', {}, ['a']);
    expect(() => group(pool, 'g-a', { id: 'h' }, ['b'])).toThrow(
      over('is 1 hops of delegation; this would be number 2'),
    );
  });
});

test('hops say how deep may be delegated below their task', () => {
  const pool = new Pool();
  pool.submit('t0', budget(0, 2));
  delegate(pool, 't1', 't0', budget(0, 1));
  delegate(pool, 't2', 't1');
  expect(() => delegate(pool, 't3', 't2')).toThrow(
    over('the budget of task "t1" is 1 hops of delegation; this would be number 2'),
  );
  delegate(pool, 'u1', 't0');
  delegate(pool, 'u2', 'u1');
  expect(() => delegate(pool, 'u3', 'u2')).toThrow(over('the budget of task "t0" is 2 hops of delegation'));
});

test('only who has a part in a task uses its budget: its swarm, or an agent that has worked at it', () => {
  const pool = new Pool();
  pool.register('x', { swarm: 'b' });
  pool.run.execute('requestAgent', wanted());
  pool.submit('t0', budget(9));
  const worker = agentPrincipal('b', 'x');
  delegate(pool, 't1', 't0', { swarm: 'b' }, worker);
  const denied = expect.objectContaining({ code: 'PERMISSION_DENIED' });
  expect(() => delegate(pool, 't2', 't0', { swarm: 'b' }, queen('b'))).toThrow(denied);
  expect(() => delegate(pool, 't2', 't0', { swarm: 'c' }, agentPrincipal('c', 'x'))).toThrow(denied);
});

test('a budget stays while a task refers to it, also when its own is forgotten, and leaves with the last', () => {
  const pool = new Pool({ keepTasks: 0, retentionBatch: 1, keepMs: 1000 });
  pool.register('x', { slots: 3 });
  pool.submit('t0', budget(5));
  delegate(pool, 't1', 't0', budget(2));
  delegate(pool, 't2', 't1');
  pool.report('t0');
  pool.report('t1');
  pool.pass(5000);
  expect([...pool.run.state.tasks.keys()]).toEqual(['t2']);
  expect([...pool.run.state.budgets.keys()]).toEqual(['t0', 't1']);
  expect(pool.run.restore().budgetRefs).toEqual(pool.run.state.budgetRefs);
  expect(() => delegate(pool, 't3', 't2')).toThrow(over('the budget of task "t1"'));
  pool.report('t2');
  pool.pass(5000);
  expect(pool.run.state.budgets.size).toBe(0);
  expect(pool.run.state.budgetRefs.size).toBe(0);
});
