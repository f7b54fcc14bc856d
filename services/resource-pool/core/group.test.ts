import { expect, test } from 'vitest';
import { Pool, queen, shell } from './fixtures.ts';
import { after, end, groupOf, groupRequest, type Named, states, submitGroup, ties } from './group-fixtures.ts';

const pooled = (slots = 10) => {
  const pool = new Pool();
  pool.register('x', { slots });
  return pool;
};

const three: Named[] = [['a'], ['b'], ['c']];

test('a parallel group gives out all at once, or as many as its bound; it has succeeded when each task has', () => {
  const pool = pooled();
  expect(submitGroup(pool, 'g', three)).toMatchObject({ tasks: ['g-a', 'g-b', 'g-c'], created: true });
  expect(states(pool, 'g')).toBe('a:assigned b:assigned c:assigned');
  submitGroup(pool, 'h', three, { maxConcurrency: 2 });
  expect(states(pool, 'h')).toBe('a:assigned b:assigned c:blocked');
  expect(pool.task('h-c').waitingFor).toBe('its turn in group h, which has 2 of at most 2 tasks in hand');
  for (const id of ['h-b', 'h-a']) end(pool, id);
  expect(states(pool, 'h')).toBe('a:succeeded b:succeeded c:assigned');
  expect(groupOf(pool, 'h').counts).toMatchObject({ total: 3, running: 1, succeeded: 2 });
  end(pool, 'h-c');
  expect(groupOf(pool, 'h')).toMatchObject({ state: 'GROUP_STATE_SUCCEEDED', reason: '', counts: { succeeded: 3 } });
});

test('a sequence goes in order, and a failure cancels the rest with a reason that names the task', () => {
  const pool = pooled();
  submitGroup(pool, 'g', three, { strategy: 'GROUP_STRATEGY_SEQUENTIAL' });
  expect(states(pool, 'g')).toBe('a:assigned b:blocked c:blocked');
  end(pool, 'g-a');
  end(pool, 'g-b', 'TERMINAL');
  expect(states(pool, 'g')).toBe('a:succeeded b:failed c:cancelled');
  expect(groupOf(pool, 'g')).toMatchObject({ state: 'GROUP_STATE_FAILED', reason: 'task g-b failed' });
  expect(pool.task('g-c').reason).toBe('group g: task g-b failed');
});

test('with CONTINUE a failure stops nobody, and the group has failed in the end', () => {
  const pool = pooled();
  const change = { strategy: 'GROUP_STRATEGY_SEQUENTIAL', onFailure: 'FAILURE_POLICY_CONTINUE' } as const;
  submitGroup(pool, 'g', three, change);
  end(pool, 'g-a', 'TERMINAL');
  for (const id of ['g-b', 'g-c']) end(pool, id);
  expect(groupOf(pool, 'g')).toMatchObject({
    state: 'GROUP_STATE_FAILED',
    reason: 'not every task succeeded: 2 of 3',
  });
});

test('with CANCEL what runs is asked to end, and the group ends after it', () => {
  const pool = pooled();
  submitGroup(pool, 'g', three, { onFailure: 'FAILURE_POLICY_CANCEL' });
  for (const id of ['g-a', 'g-b']) pool.confirm(id);
  end(pool, 'g-a', 'TERMINAL');
  expect(groupOf(pool, 'g').state).toBe('GROUP_STATE_ENDING');
  expect(pool.task('g-b').cancelRequested).toBe(true);
  pool.report('g-b', 'OUTCOME_CANCELLED');
  pool.report('g-c', 'OUTCOME_CANCELLED');
  pool.pass(0);
  expect(groupOf(pool, 'g').state).toBe('GROUP_STATE_FAILED');
});

test('dependencies inside a group are by name', () => {
  const pool = pooled();
  submitGroup(pool, 'g', [['test', { ties: ties({ after: after('build') }) }], ['build'], ['lint']]);
  expect(states(pool, 'g')).toBe('test:blocked build:assigned lint:assigned');
  end(pool, 'g-build');
  expect(states(pool, 'g')).toBe('test:assigned build:succeeded lint:assigned');
});

test('a circle is refused with its tasks, and nothing of the group is accepted', () => {
  const pool = pooled();
  const next = (task: string) => ({ ties: ties({ after: after(task) }) });
  const submit = () =>
    submitGroup(pool, 'g', [
      ['a', next('b')],
      ['b', next('c')],
      ['c', next('a')],
    ]);
  expect(submit).toThrow(
    'tasks[0].spec.ties.after[0].task: "b" must not lead back to the task itself: a -> b -> c -> a',
  );
  expect(pool.run.state.tasks.size).toBe(0);
});

test('pause holds back what waits and what is tried again; resume lets it go on', () => {
  const pool = pooled(1);
  submitGroup(pool, 'g', three);
  expect(states(pool, 'g')).toBe('a:assigned b:queued c:queued');
  const pause = (principal = queen('a')) => pool.run.execute('pauseGroup', { id: 'g', reason: 'lunch' }, { principal });
  expect(() => pause(queen('b'))).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
  pause();
  pool.pass(0);
  expect(states(pool, 'g')).toBe('a:assigned b:blocked c:blocked');
  end(pool, 'g-a', 'FAILED');
  expect(states(pool, 'g')).toBe('a:blocked b:blocked c:blocked');
  expect(pool.task('g-b').waitingFor).toBe('group g to be resumed: paused by swarm:a: lunch');
  pool.run.execute('resumeGroup', { id: 'g' }, { principal: queen('a') });
  pool.pass(0);
  expect(states(pool, 'g')).toBe('a:assigned b:queued c:queued');
});

test('cancel ends what waits at once and what runs through its agent; again it changes nothing', () => {
  const pool = pooled(1);
  submitGroup(pool, 'g', three);
  pool.confirm('g-a');
  const cancel = () => pool.run.execute('cancelGroup', { id: 'g', reason: 'changed my mind' });
  cancel();
  pool.pass(0);
  expect(states(pool, 'g')).toBe('a:running b:cancelled c:cancelled');
  cancel();
  pool.report('g-a', 'OUTCOME_CANCELLED');
  pool.pass(0);
  expect(groupOf(pool, 'g')).toMatchObject({ state: 'GROUP_STATE_CANCELLED', reason: 'changed my mind' });
  expect(() => pool.run.execute('pauseGroup', { id: 'g', reason: '' })).toThrow(
    expect.objectContaining({ reason: 'GROUP_ENDED' }),
  );
});

test('a group takes further tasks until it has ended', () => {
  const pool = pooled();
  submitGroup(pool, 'g', [['a']]);
  pool.submit('more', { ties: ties({ group: 'g' }) });
  pool.pass(0);
  expect(pool.where('more')).toBe('ASSIGNED on a/x');
  end(pool, 'g-a');
  expect(groupOf(pool, 'g').state).toBe('GROUP_STATE_RUNNING');
  end(pool, 'more');
  expect(groupOf(pool, 'g').state).toBe('GROUP_STATE_SUCCEEDED');
  const late = () => pool.submit('late', { ties: ties({ group: 'g' }) });
  expect(late).toThrow(expect.objectContaining({ reason: 'GROUP_CLOSED' }));
  expect(() => pool.submit('lost', { ties: ties({ group: 'gg' }) })).toThrow('did you mean g?');
});

test('the same group again is the same answer, another content is refused, a dry run submits nothing', () => {
  const pool = pooled();
  const request = groupRequest('g', three);
  const run = (change: object) => pool.run.execute('submitGroup', { ...request, ...change });
  expect(run({ dryRun: true })).toMatchObject({ created: true, group: { counts: { total: 3, blocked: 3 } } });
  expect(pool.run.state.groups.size).toBe(0);
  run({});
  expect(() => run({})).toThrow(expect.objectContaining({ reason: 'ID_TAKEN' }));
  expect(run({ idempotent: true })).toMatchObject({ created: false, tasks: ['g-a', 'g-b', 'g-c'] });
  const other = () => run({ idempotent: true, tasks: request.tasks.slice(1) });
  expect(run({ idempotent: true, tasks: request.tasks })).toMatchObject({ created: false });
  expect(other).toThrow(expect.objectContaining({ reason: 'OTHER_SPEC' }));
});

test('an ended group and its tasks are forgotten by the rule of retention', () => {
  const pool = new Pool({ keepMs: 1000 });
  pool.register('x');
  submitGroup(pool, 'g', [['a'], ['b']]);
  end(pool, 'g-a');
  pool.pass(5000);
  expect(pool.where('g-a')).toBe('SUCCEEDED');
  end(pool, 'g-b');
  pool.pass(5000);
  expect([pool.run.state.groups.size, pool.run.state.tasks.size]).toEqual([0, 0]);
});

test('an adaptive group begins small, grows while all goes well, and is cut by a failure', () => {
  const pool = pooled(50);
  const named = Array.from({ length: 40 }, (_, i): Named => [`n${i}`, { maxAttempts: 2 }]);
  const adaptive = { initial: 2, min: 1, tolerancePercent: 0 };
  submitGroup(pool, 'g', named, { strategy: 'GROUP_STRATEGY_ADAPTIVE', adaptive });
  const running = () => [...pool.run.state.tasks.values()].filter(({ state }) => state === 'TASK_STATE_ASSIGNED');
  expect(running()).toHaveLength(2);
  for (let i = 0; i < 15; i++) {
    pool.now += 100;
    end(pool, running()[0]?.id ?? '');
  }
  const before = groupOf(pool, 'g').concurrency;
  expect(before).toBeGreaterThan(3);
  expect(running()).toHaveLength(before);
  end(pool, running()[0]?.id ?? '', 'FAILED');
  expect(groupOf(pool, 'g').concurrency).toBe(Math.floor(before / 2));
});

test('a sequence is refused in which a task waits for a later one; so is a task of another swarm or an unknown phase', () => {
  const pool = pooled();
  const later: Named[] = [['a', { ties: ties({ after: after('b') }) }], ['b']];
  const submit = () => submitGroup(pool, 'g', later, { strategy: 'GROUP_STRATEGY_SEQUENTIAL' });
  expect(submit).toThrow('must come before it, since the group is SEQUENTIAL');
  expect(() => submitGroup(pool, 'g', [['a', { swarm: 'b' }]])).toThrow("must be the group's, a");
  const phase = () => submitGroup(pool, 'g', [['a', { ties: ties({ phase: 'one' }) }]]);
  expect(phase).toThrow('must be a phase of the group; the group has none');
});

test('a group of a swarm that was deregistered is cancelled with its tasks', () => {
  const pool = pooled(1);
  submitGroup(pool, 'g', three);
  pool.confirm('g-a');
  const retire = () => pool.run.execute('retireSwarm', { swarm: 'a', registrations: ['a-1'] }, { principal: shell });
  while (retire().left) pool.pass(0);
  pool.pass(60_000);
  expect(groupOf(pool, 'g')).toMatchObject({
    state: 'GROUP_STATE_CANCELLED',
    reason: 'swarm a was deregistered',
    counts: { cancelled: 3 },
  });
});

test('explain says of a group and of its tasks where they are and what they wait for', () => {
  const pool = pooled(1);
  submitGroup(pool, 'g', three, { maxConcurrency: 1 });
  const ask = (id: string) => pool.run.query('explain', { id, minRevision: '0' }, { now: pool.now + 3000 });
  expect(ask('g-b').summary).toBe(
    'is held back for 3s; it waits for its turn in group g, which has 1 of at most 1 task in hand',
  );
  expect(ask('g').summary).toBe('is running for 3s; it waits for its tasks: 1 run, 0 wait for agents, 2 are held back');
  for (const id of ['g-a', 'g-b', 'g-c']) end(pool, id);
  expect(ask('g').summary).toBe('succeeded 0ms ago, 3 of 3 tasks succeeded');
  expect(ask('g').history.map(({ text }) => text)).toEqual(['submitted by operator:ada', 'ended']);
});
