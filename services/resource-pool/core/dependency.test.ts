import { expect, test } from 'vitest';
import type { FailurePolicy } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { circleIn } from './dependency.ts';
import { Pool, queen, spec } from './fixtures.ts';
import { after, end, ties } from './group-fixtures.ts';

const pair = (onFailure: FailurePolicy = 'FAILURE_POLICY_UNSPECIFIED') => {
  const pool = new Pool();
  pool.register('x');
  pool.submit('first');
  pool.submit('second', { ties: ties({ after: after({ task: 'first', onFailure }) }) });
  pool.pass(0);
  return pool;
};

test('a task that depends on another is given out when that has succeeded, and not before', () => {
  const pool = pair();
  expect(pool.where('second')).toBe('BLOCKED');
  expect(pool.task('second').waitingFor).toBe('the end of task first (assigned)');
  pool.confirm('first');
  end(pool, 'first');
  expect(pool.where('second')).toBe('ASSIGNED on a/x');
});

test('a failure cancels or fails a dependant with a reason that names the task, or lets it go on', () => {
  const outcome = (policy: FailurePolicy) => {
    const pool = pair(policy);
    end(pool, 'first', 'TERMINAL');
    return [pool.where('second'), pool.task('second').reason];
  };
  const reason = 'it depends on task first, which failed';
  expect(outcome('FAILURE_POLICY_UNSPECIFIED')).toEqual(['CANCELLED', reason]);
  expect(outcome('FAILURE_POLICY_CANCEL')).toEqual(['CANCELLED', reason]);
  expect(outcome('FAILURE_POLICY_FAIL')).toEqual(['FAILED', reason]);
  expect(outcome('FAILURE_POLICY_CONTINUE')).toEqual(['ASSIGNED on a/x', '']);
});

test('what follows from a failure goes down a chain, and each names the one before it', () => {
  const pool = pair('FAILURE_POLICY_FAIL');
  pool.submit('third', { ties: ties({ after: after('second') }) });
  pool.run.execute('cancelTask', { id: 'first', reason: '' });
  pool.report('first', 'OUTCOME_CANCELLED');
  pool.pass(0);
  expect(pool.task('second').reason).toBe('it depends on task first, which was cancelled');
  expect(pool.task('third').reason).toBe('it depends on task second, which failed');
  expect(pool.where('third')).toBe('CANCELLED');
});

test('cancelling a task says which others end with it, near ones first, once', () => {
  const pool = pair();
  const wait = (id: string, ...tasks: Parameters<typeof after>) =>
    pool.submit(id, { ties: ties({ after: after(...tasks) }) });
  wait('third', 'second');
  wait('besides', 'first');
  wait('anyway', { task: 'first', onFailure: 'FAILURE_POLICY_CONTINUE' });
  wait('both', 'anyway', 'third');
  const cancel = (id: string) => pool.run.execute('cancelTask', { id, reason: '' });
  expect(cancel('first')).toMatchObject({ endsToo: ['second', 'besides', 'third', 'both'], endsTooTotal: 4 });
  expect(cancel('first')).toMatchObject({ endsToo: [], endsTooTotal: 0 });
  pool.report('first', 'OUTCOME_CANCELLED');
  pool.pass(0);
  const ended = ['second', 'besides', 'third', 'both', 'anyway'].map((id) => pool.where(id));
  expect(ended).toEqual(['CANCELLED', 'CANCELLED', 'CANCELLED', 'CANCELLED', 'ASSIGNED on a/x']);
});

test('of very many that end with a task the first are named, and all counted', () => {
  const pool = pair();
  for (let i = 0; i < 30; i++) pool.submit(`more-${i}`, { ties: ties({ after: after('second') }) });
  const { endsToo, endsTooTotal } = pool.run.execute('cancelTask', { id: 'first', reason: '' });
  expect([endsToo.length, endsToo[0], endsTooTotal]).toEqual([20, 'second', 31]);
});

test('a task that is tried again keeps its dependants waiting', () => {
  const pool = pair();
  end(pool, 'first', 'FAILED');
  expect(pool.where('first')).toBe('ASSIGNED on a/x');
  expect(pool.where('second')).toBe('BLOCKED');
});

test('a task is kept as long as others wait for it, and forgotten after', () => {
  const pool = new Pool({ keepTasks: 1, retentionBatch: 1, keepMs: 1000 });
  pool.register('x');
  pool.submit('first');
  pool.submit('gate', { type: 'none' });
  pool.submit('second', { ties: ties({ after: after('first', 'gate') }) });
  end(pool, 'first');
  pool.pass(5000);
  expect(pool.where('first')).toBe('SUCCEEDED');
  expect(pool.run.restore().endedTasks.size).toBe(0);
  pool.run.execute('cancelTask', { id: 'gate', reason: '' });
  pool.pass(0);
  expect(pool.where('second')).toBe('CANCELLED');
  pool.pass(5000);
  expect(() => pool.task('first')).toThrow('not known');
});

test('an unknown dependency is refused with the name that was meant, one on itself as a circle', () => {
  const pool = new Pool();
  pool.submit('compile-all');
  const submit = (id: string, task: string) => () => pool.submit(id, { ties: ties({ after: after(task) }) });
  const field = 'spec.ties.after[0].task';
  expect(submit('x', 'compile-al')).toThrow(
    expect.objectContaining({
      code: 'INVALID_ARGUMENT',
      violations: [
        {
          field,
          value: '"compile-al"',
          rule: 'must be a task of this request or one that the pool knows; did you mean compile-all?',
        },
      ],
    }),
  );
  expect(submit('x', 'x')).toThrow(`${field}: "x" must not lead back to the task itself: x -> x`);
});

test('the first circle is found, from a task back to itself', () => {
  const graph = (edges: Record<string, string[]>) =>
    circleIn(
      Object.entries(edges).map(([id, tasks]) => ({ id, spec: spec({ ties: ties({ after: after(...tasks) }) }) })),
    );
  expect(graph({ a: ['b'], b: ['c'], c: [] })).toBeUndefined();
  expect(graph({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [] })).toBeUndefined();
  expect(graph({ a: ['b'], b: ['c'], c: ['a'] })).toEqual(['a', 'b', 'c', 'a']);
  expect(graph({ x: ['a'], a: ['b'], b: ['c', 'a'], c: [] })).toEqual(['a', 'b', 'a']);
});

test('a task that needs a yes waits for it; agents may not say it, and no means cancelled', () => {
  const pool = new Pool();
  pool.register('x', { slots: 3 });
  const decide = (task: string, approve: boolean, principal = queen('a')) => {
    const said = { task, group: '', phase: '', approve, reason: 'looked at it' };
    const answer = pool.run.execute('decide', said, { principal, now: pool.now });
    pool.pass(0);
    return answer.task;
  };
  for (const id of ['yes', 'no']) pool.submit(id, { ties: ties({ approval: { operatorOnly: false } }) });
  pool.submit('high', { ties: ties({ approval: { operatorOnly: true } }) });
  pool.pass(0);
  expect(pool.task('yes').waitingFor).toBe('a yes by swarm a or an operator');
  const agent = { kind: 'agent', swarm: 'a', name: 'x', key: 'key-a' } as const;
  expect(() => decide('yes', true, agent)).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
  expect(() => decide('yes', true, queen('b'))).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
  expect(() => decide('high', true)).toThrow('only an operator');
  expect(decide('yes', true)?.verdict).toMatchObject({ approved: true, by: 'swarm:a', reason: 'looked at it' });
  expect(pool.where('yes')).toBe('ASSIGNED on a/x');
  decide('yes', true);
  expect(() => decide('yes', false)).toThrow(expect.objectContaining({ reason: 'DECIDED' }));
  decide('no', false);
  expect(pool.task('no')).toMatchObject({
    state: 'TASK_STATE_CANCELLED',
    reason: 'refused by swarm:a: looked at it',
  });
  pool.submit('plain');
  expect(() => decide('plain', true)).toThrow(expect.objectContaining({ reason: 'NO_APPROVAL' }));
});

test('a blocked task is not given out, ends when it is cancelled, and counts among those that wait', () => {
  const pool = pair();
  expect(pool.run.state.usage.queued.of('a')).toBe(1);
  pool.run.execute('cancelTask', { id: 'second', reason: 'no' });
  expect(pool.where('second')).toBe('CANCELLED');
  expect(pool.run.state.ties.blocked).toBe(0);
  end(pool, 'first');
  expect(pool.where('second')).toBe('CANCELLED');
});

test('the total time limit holds for a blocked task, too', () => {
  const pool = new Pool();
  pool.submit('first');
  pool.submit('second', { limits: { queuedMs: 500, totalMs: 2000 }, ties: ties({ after: after('first') }) });
  pool.pass(1000);
  expect(pool.where('second')).toBe('BLOCKED');
  pool.pass(2000);
  expect(pool.task('second')).toMatchObject({ state: 'TASK_STATE_FAILED' });
});
