import { describe, expect, test } from 'vitest';
import { deliveryMessage } from './delivery.ts';
import { agentPrincipal, Pool, queen, shell } from './fixtures.ts';

const THREE_TRIES = { maxAttempts: 3 };

describe('exactly one result', () => {
  test('confirmed, reported, kept', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    const from = pool.run.events.length;
    expect(pool.run.state.deliveries.size).toBe(1);
    pool.confirm('t1', agentPrincipal('a', 'x'));
    expect(pool.run.state.deliveries.size).toBe(0);
    pool.report('t1', 'OUTCOME_SUCCEEDED', { lines: 3 }, agentPrincipal('a', 'x'));
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_SUCCEEDED', result: { lines: 3 } });
    expect(pool.types(from)).toEqual(['task.started', 'task.ended']);
  });

  test('the accepted report again is answered like the first; another result is not', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.report('t1', 'OUTCOME_SUCCEEDED', [1]);
    const from = pool.run.events.length;
    pool.report('t1', 'OUTCOME_SUCCEEDED', [1]);
    expect(() => pool.report('t1', 'OUTCOME_SUCCEEDED', [2])).toThrow(
      /current is attempt 1 of instance "i1", succeeded/,
    );
    expect(() => pool.report('t1', 'OUTCOME_FAILED')).toThrow(expect.objectContaining({ code: 'ABORTED' }));
    expect(pool.types(from)).toEqual([]);
  });

  test('a report of an attempt that began at once says what its confirmation would have said', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    const assignedAt = pool.now;
    pool.now += 500;
    const from = pool.run.events.length;
    const said = { task: 't1', attempt: 1, instance: 'i1', outcome: 'OUTCOME_SUCCEEDED', reason: '' } as const;
    const report = { ...said, logKey: 'key', ranMs: 200 };
    pool.run.execute('reportTask', report, { now: pool.now });
    expect(pool.types(from)).toEqual(['task.started', 'task.ended']);
    expect(pool.run.state.tasks.get('t1')?.attempts).toMatchObject([
      { assignedAt, startedAt: assignedAt + 300, endedAt: assignedAt + 500, logKey: 'key' },
    ]);
    pool.run.execute('reportTask', report, { now: pool.now }); // once more, as after an answer that was lost
    expect(pool.types(from)).toEqual(['task.started', 'task.ended']);

    pool.submit('t2');
    pool.run.execute('reportTask', { ...report, task: 't2', ranMs: 9_000_000 }, { now: pool.now });
    expect(pool.run.state.tasks.get('t2')?.attempts).toMatchObject([{ startedAt: pool.now }]); // not before it was assigned

    pool.submit('t3');
    const confirmed = pool.run.events.length;
    pool.confirm('t3');
    pool.run.execute('reportTask', { ...report, task: 't3' }, { now: pool.now });
    expect(pool.types(confirmed)).toEqual(['task.started', 'task.ended']);
  });

  test('one that began at once and was not confirmed before it is given back was used', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { maxAttempts: 1 });
    const said = { task: 't1', attempt: 1, instance: 'i1', outcome: 'OUTCOME_LOST', reason: 'no' } as const;
    pool.run.execute('reportTask', { ...said, logKey: 'key', ranMs: 0 }, { now: pool.now });
    expect(pool.where('t1')).toBe('FAILED');
    expect(pool.task('t1').reason).toBe('attempt 1 of 1: no');
  });

  test('an agent that comes back after its task was given away is refused', () => {
    const pool = new Pool();
    pool.register('x', { priority: 1 });
    pool.register('y');
    pool.submit('t1');
    pool.confirm('t1');
    pool.observe('a/x', 'UNREACHABLE');
    expect(pool.where('t1')).toBe('ASSIGNED on a/y');
    pool.observe('a/x', 'READY');
    const late = { task: 't1', attempt: 1, instance: 'i1', outcome: 'OUTCOME_SUCCEEDED', reason: '' } as const;
    expect(() => pool.run.execute('reportTask', late)).toThrow(/attempt 1 of instance "i1" is not the current one/);
    const own = pool.run.execute('listAssignments', { swarm: 'a', agent: 'x', instance: 'i1' });
    expect(own.assignments).toEqual([]);
  });

  test('a new instance fences the old one off, and its work is done again', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.confirm('t1');
    pool.register('x', { instance: 'i2' });
    expect(pool.task('t1').attempts.map(({ outcome, instance }) => [outcome, instance])).toEqual([
      ['OUTCOME_LOST', 'i1'],
      ['OUTCOME_UNSPECIFIED', 'i2'],
    ]);
    const old = { swarm: 'a', agent: 'x', instance: 'i1' };
    expect(() => pool.run.execute('listAssignments', old)).toThrow(
      /"i1" of agent "a\/x" is not the current one, .* "i2"/,
    );
  });
});

describe('tries', () => {
  test('a failure is tried again until max_attempts, then the task fails with the reason', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', THREE_TRIES);
    for (let i = 1; i <= 3; i++) {
      expect(pool.where('t1')).toBe('ASSIGNED on a/x');
      pool.report('t1', 'OUTCOME_FAILED');
    }
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_FAILED', reason: 'attempt 3 of 3: said so' });
  });

  test('a terminal failure is not tried again', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', THREE_TRIES);
    pool.report('t1', 'OUTCOME_TERMINAL');
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_FAILED', reason: 'said so' });
  });

  test('an assignment that nobody confirms costs no attempt, but ends one day', () => {
    const pool = new Pool({ maxUnconfirmed: 4 });
    pool.register('x');
    pool.submit('t1', { maxAttempts: 1 });
    for (let i = 1; i <= 3; i++) {
      pool.pass(10_000);
      expect(pool.task('t1').attempts).toHaveLength(i + 1);
    }
    pool.pass(9999);
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
    pool.pass(1);
    expect(pool.task('t1').reason).toBe('assigned 4 times and never confirmed; last: not confirmed within 10s');
  });

  test('a lost attempt that had started counts', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { maxAttempts: 1 });
    pool.confirm('t1');
    pool.observe('a/x', 'UNREACHABLE');
    expect(pool.task('t1')).toMatchObject({
      state: 'TASK_STATE_FAILED',
      reason: 'attempt 1 of 1: agent unreachable: seen',
    });
  });

  test('the pool ends an attempt over its time and tells the agent', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { timeoutMs: 1000, maxAttempts: 1 });
    pool.confirm('t1');
    pool.pass(1999);
    expect(pool.where('t1')).toBe('RUNNING on a/x');
    pool.pass(1);
    expect(pool.task('t1').attempts[0]).toMatchObject({
      outcome: 'OUTCOME_TIMED_OUT',
      reason: 'attempt 1 of 1: over its time limit of 1s: its agent had not reported it after 2s',
    });
    const owed = [...pool.run.state.deliveries.keys()];
    expect(owed).toEqual(['t1.bury', 't1.1.stop']);
    expect(deliveryMessage(pool.run.state, 't1.1.stop', 7)).toMatchObject({ cancel: true, attempt: 1, epoch: '7' });
    for (const effect of owed) pool.run.execute('settleDelivery', { effect }, { principal: shell });
    expect(pool.run.state.deliveries.size).toBe(0);
  });

  test('terms begin anew with a new epoch', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.run.query('tasksById', { ids: [], swarm: '', states: [] }, { epochStart: pool.now + 60_000 });
    expect(pool.run.nextDue()).toBe(pool.now + 70_000);
  });
});

describe('cancel', () => {
  test('a waiting task ends at once', () => {
    const pool = new Pool();
    pool.submit('t1');
    pool.run.execute('cancelTask', { id: 't1', reason: '' }, { principal: queen('a') });
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_CANCELLED', reason: 'cancelled by swarm:a' });
  });

  test('a running one is told, and ends when the agent says so', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.confirm('t1');
    pool.run.execute('cancelTask', { id: 't1', reason: 'enough' });
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_RUNNING', cancelRequested: true });
    expect([...pool.run.state.deliveries.keys()]).toEqual(['t1.1.cancel']);
    pool.report('t1', 'OUTCOME_CANCELLED');
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_CANCELLED', reason: 'enough' });
    expect(pool.run.state.deliveries.size).toBe(0);
  });

  test('without an answer it ends after a grace time; a failure meanwhile is not tried again', () => {
    const pool = new Pool();
    pool.register('x', { slots: 2 });
    pool.submit('t1');
    pool.submit('t2');
    for (const id of ['t1', 't2']) {
      pool.confirm(id);
      pool.run.execute('cancelTask', { id, reason: 'enough' });
    }
    pool.report('t2', 'OUTCOME_FAILED');
    expect(pool.where('t2')).toBe('CANCELLED');
    pool.pass(15_000);
    expect(pool.where('t1')).toBe('CANCELLED');
    pool.report('t1', 'OUTCOME_CANCELLED');
  });

  test('what had ended otherwise before it could heed the request says so when it is asked again', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.confirm('t1');
    const cancel = () => pool.run.execute('cancelTask', { id: 't1', reason: '' });
    cancel();
    pool.report('t1', 'OUTCOME_SUCCEEDED');
    expect(pool.where('t1')).toBe('SUCCEEDED');
    expect(cancel).toThrow(/task "t1" ended at .* as TASK_STATE_SUCCEEDED; it cannot be cancelled/);
  });

  test('an agent that has not begun hears it as the answer to its confirmation', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.run.execute('cancelTask', { id: 't1', reason: '' });
    expect(pool.confirm('t1').cancel).toBe(true);
    expect(pool.where('t1')).toBe('CANCELLED');
  });
});

test('an agent may begin at once where its confirmation would tell it nothing, and only the first time', () => {
  const pool = new Pool();
  pool.register('x', { slots: 20, labels: { 'hivebus.host': 'h1' } });
  const mayBegin = (task: string, number = 1) => {
    const effect = `${task}.${number}.assign`;
    return deliveryMessage(pool.run.state, effect, 7)?.atOnce;
  };
  pool.submit('plain', THREE_TRIES);
  expect(mayBegin('plain')).toBe(true);
  expect(deliveryMessage(pool.run.state, 'plain.1.assign', 7)?.assignedMs).toBe(String(pool.now));
  pool.submit('claimed', { continuity: { claim: true, resume: false } });
  pool.submit('resumes', { continuity: { claim: false, resume: true } });
  pool.submit('spends', { budget: { spend: 10, hops: 0 } });
  expect(['claimed', 'resumes', 'spends'].map((task) => mayBegin(task))).toEqual([false, false, false]);
  pool.confirm('plain');
  pool.report('plain', 'OUTCOME_FAILED');
  expect(mayBegin('plain', 2)).toBe(false);
});
