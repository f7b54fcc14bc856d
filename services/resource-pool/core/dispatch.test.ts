import { describe, expect, test } from 'vitest';
import { Pool, wanted } from './fixtures.ts';

describe('which agent', () => {
  test('a task is given out in the decision that accepts it', () => {
    const pool = new Pool();
    pool.register('x');
    const task = pool.submit('t1');
    expect(task.state).toBe('TASK_STATE_ASSIGNED');
    expect(pool.types()).toEqual(['agent.registered', 'task.submitted', 'task.assigned']);
    expect(new Set(pool.run.events.slice(1).map(({ stamp }) => stamp.revision)).size).toBe(1);
    expect(pool.run.events.at(-1)?.key).toBe('a.x.i1');
  });

  test('the least busy share of slots goes first, then priority, then name', () => {
    const pool = new Pool();
    pool.register('x', { slots: 4 });
    pool.register('y', { slots: 2 });
    pool.register('z', { slots: 1, priority: 5 });
    for (let i = 1; i <= 7; i++) pool.submit(`t${i}`);
    const order = [1, 2, 3, 4, 5, 6, 7].map((i) => pool.where(`t${i}`).slice(-1));
    expect(order).toEqual(['z', 'x', 'y', 'x', 'x', 'y', 'x']);
  });

  test('it must be of the type, have every capability, and allow scripts if need be', () => {
    const pool = new Pool();
    pool.register('plain');
    pool.register('able', { capabilities: ['ts', 'js'] });
    pool.register('open', { allowScripts: true });
    pool.register('other', { type: 'test', capabilities: ['ts', 'js'], allowScripts: true });
    pool.submit('t1', { capabilities: ['js', 'ts'] });
    pool.submit('t2', { script: 'true' });
    pool.submit('t3', { capabilities: ['ts'], script: 'true' });
    expect([pool.where('t1'), pool.where('t2'), pool.where('t3')]).toEqual([
      'ASSIGNED on a/able',
      'ASSIGNED on a/open',
      'QUEUED',
    ]);
    expect(pool.task('t3').waitingFor).toBe(
      'a free agent of type lint for swarm a: 3 of its own, of those 3 lacking a capability or label',
    );
    pool.submit('t4', { type: 'lnt' });
    expect(pool.task('t4').waitingFor).toBe(
      'an agent of type lnt: swarm a has none of its own, only of type lint, test',
    );
    pool.submit('t5', { swarm: 'b' });
    expect(pool.task('t5').waitingFor).toBe('an agent of type lint: swarm b has none of its own');
  });

  test('own agents at home go before borrowed ones, however busy', () => {
    const pool = new Pool();
    pool.register('lent', { swarm: 'b', priority: 9 });
    pool.run.execute('requestAgent', wanted());
    pool.register('own', { slots: 2 });
    pool.submit('t1');
    pool.submit('t2');
    pool.submit('t3');
    expect([pool.where('t1'), pool.where('t2'), pool.where('t3')]).toEqual([
      'ASSIGNED on a/own',
      'ASSIGNED on a/own',
      'ASSIGNED on b/lent',
    ]);
  });

  test('a task that was tried goes to another agent if there is one, else to the same', () => {
    const pool = new Pool();
    pool.register('x', { priority: 9 });
    pool.register('y');
    pool.submit('t1');
    pool.report('t1', 'OUTCOME_FAILED');
    expect(pool.where('t1')).toBe('ASSIGNED on a/y');
    pool.observe('a/x', 'SUSPECT');
    pool.report('t1', 'OUTCOME_FAILED');
    expect(pool.where('t1')).toBe('ASSIGNED on a/y');
  });
});

describe('which task', () => {
  test('priority first, then age; a task that comes back keeps its age', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('first');
    pool.submit('second');
    pool.submit('urgent', { priority: 5 });
    pool.confirm('first');
    pool.report('first', 'OUTCOME_FAILED');
    expect(pool.where('urgent')).toBe('ASSIGNED on a/x');
    pool.report('urgent');
    expect([pool.where('first'), pool.where('second')]).toEqual(['ASSIGNED on a/x', 'QUEUED']);
  });

  test('a new agent with several slots takes as many, and those it cannot run wait on', () => {
    const pool = new Pool();
    for (const id of ['t1', 't2', 't3', 't4']) pool.submit(id);
    pool.submit('hard', { capabilities: ['ts'], priority: 9 });
    pool.register('x', { slots: 3 });
    const at = ['t1', 't2', 't3', 't4', 'hard'].map((id) => pool.where(id));
    expect(at).toEqual(['ASSIGNED on a/x', 'ASSIGNED on a/x', 'ASSIGNED on a/x', 'QUEUED', 'QUEUED']);
  });
});
