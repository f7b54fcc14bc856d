import { expect, test } from 'vitest';
import type { GroupSpec } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { Pool } from './fixtures.ts';
import { after, end, type Named, submitGroup, ties } from './group-fixtures.ts';

/** `kind: text` of all that holds a task or a group back. */
const holds = (pool: Pool, id: string): string[] =>
  pool.run
    .query('explain', { id, minRevision: '0' }, { now: pool.now })
    .holds.map(({ kind, text }) => `${kind}: ${text}`);

const pooled = (agents: number): Pool => {
  const pool = new Pool();
  for (let i = 0; i < agents; i++) pool.register(`x${i}`);
  return pool;
};

const three: Named[] = [['a'], ['b'], ['c']];
const said = (pool: Pool, what: object) =>
  pool.run.execute('decide', { task: '', group: '', phase: '', approve: true, reason: '', ...what }, { now: pool.now });

test('a task after others: which must succeed, what becomes of it else, and which need only end; and a yes', () => {
  const pool = pooled(1);
  for (const id of ['a', 'b', 'c', 'd']) pool.submit(id);
  const depends = after(
    'a',
    'b',
    { task: 'c', onFailure: 'FAILURE_POLICY_FAIL' },
    { task: 'd', onFailure: 'FAILURE_POLICY_CONTINUE' },
  );
  pool.submit('t', { ties: ties({ after: depends, approval: { operatorOnly: true } }) });
  expect(holds(pool, 't')).toEqual([
    'after: tasks a (assigned), b (queued) succeed, else this one is cancelled',
    'after: task c (queued) succeeds, else this one fails',
    'after: task d (queued) ends, in whichever way',
    'approve: an operator says yes',
  ]);
  for (const id of ['a', 'b', 'c']) end(pool, id);
  said(pool, { task: 't' });
  expect(holds(pool, 't')).toEqual(['after: task d (assigned) ends, in whichever way']);
  end(pool, 'd', 'TERMINAL');
  expect(pool.where('t')).toBe('ASSIGNED on a/x0');
  expect(holds(pool, 't')).toEqual([]);
});

test('a task that will be ended goes on by nothing', () => {
  const pool = pooled(1);
  submitGroup(pool, 'g', three, { maxConcurrency: 1 });
  pool.run.execute('cancelGroup', { id: 'g', reason: 'not needed' });
  expect([holds(pool, 'g-b'), holds(pool, 'g')]).toEqual([[], []]);
});

test('a paused group: its tasks say so first, and so does the group', () => {
  const pool = pooled(1);
  submitGroup(pool, 'g', [['a'], ['b', { ties: ties({ after: after('a') }) }], ['c']]);
  expect(holds(pool, 'g')).toEqual([]);
  pool.run.execute('pauseGroup', { id: 'g', reason: 'the disk is full' });
  const resumed = 'resume-group: group g is resumed (paused by operator:ada: the disk is full)';
  expect(holds(pool, 'g')).toEqual([resumed]);
  expect(holds(pool, 'g-c')).toEqual([resumed]);
  expect(holds(pool, 'g-b')).toEqual([resumed, 'after: task g-a (assigned) succeeds, else this one is cancelled']);
  pool.run.execute('resumeGroup', { id: 'g' });
  pool.pass(0);
  expect([holds(pool, 'g'), holds(pool, 'g-c')]).toEqual([[], []]);
});

test.each<[Partial<GroupSpec>, held: string, text: string]>([
  [{ maxConcurrency: 1 }, 'g-c', 'turn: its turn comes in group g, which has 1 of at most 1 task in hand'],
  [
    { strategy: 'GROUP_STRATEGY_SEQUENTIAL' },
    'g-c',
    'turn: tasks g-a (assigned), g-b (blocked), which go before it in group g, end',
  ],
  [
    { strategy: 'GROUP_STRATEGY_SEQUENTIAL' },
    'g-b',
    'turn: task g-a (assigned), which goes before it in group g, ends',
  ],
])('its turn in a group: %j %s', (change, held, text) => {
  const pool = pooled(2);
  submitGroup(pool, 'g', three, change);
  expect(holds(pool, held)).toEqual([text]);
});

test('a later phase: what the ones before it ask, and the yes once it is waited for', () => {
  const pool = pooled(1);
  const criterion = { task: 'a', path: '/ratio', comparison: 'COMPARISON_AT_LEAST', value: 5 } as const;
  const gate = { minSucceededPercent: 0, criteria: [criterion], approval: { operatorOnly: false } };
  const inPhase = (name: string, phase: string): Named => [name, { ties: ties({ phase }) }];
  const tasks = [inPhase('a', 'measure'), inPhase('b', 'build'), inPhase('c', 'ship')];
  const phases = [
    { name: 'measure', gate },
    { name: 'build', gate: undefined },
    { name: 'ship', gate: undefined },
  ];
  submitGroup(pool, 'g', tasks, { phases });
  const measured =
    'phase: phase measure is passed: task g-a (assigned) ends, and its gate finds that every task succeeded, ' +
    '/ratio of task g-a is at least 5, and swarm a or an operator says yes';
  expect(holds(pool, 'g-b')).toEqual([measured]);
  expect(holds(pool, 'g-c')).toEqual([measured, 'phase: after that phase build is passed']);
  end(pool, 'g-a', 'SUCCEEDED', { ratio: 6 });
  const yes = 'gate: swarm a or an operator says yes to going on after phase measure';
  expect([holds(pool, 'g'), holds(pool, 'g-b')]).toEqual([[yes], [yes]]);
  said(pool, { group: 'g' });
  pool.pass(0);
  expect(holds(pool, 'g')).toEqual([]);
  expect(holds(pool, 'g-c')).toEqual([
    'phase: phase build is passed: task g-b (assigned) ends, and its gate finds that every task succeeded',
  ]);
});
