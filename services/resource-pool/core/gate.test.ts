import { expect, test } from 'vitest';
import type { Criterion, Phase } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { Pool, queen } from './fixtures.ts';
import { at } from './gate.ts';
import { end, groupOf, type Named, states, submitGroup, ties } from './group-fixtures.ts';

const criterion = (change: Partial<Criterion> = {}): Criterion => ({
  ...{ task: 'bench', path: '/ratio', comparison: 'COMPARISON_AT_LEAST', value: 5 },
  ...change,
});

const tasks: Named[] = [
  ['bench', { ties: ties({ phase: 'measure' }) }],
  ['build', { ties: ties({ phase: 'ship' }) }],
];

const phased = (gate: Phase['gate'], more: readonly Named[] = []) => {
  const pool = new Pool();
  pool.register('x', { slots: 10 });
  submitGroup(pool, 'g', [...tasks, ...more], { phases: [{ name: 'measure', gate }, { name: 'ship' }] });
  return pool;
};

test('a phase begins when the gate of the one before says go: what it asks of results holds', () => {
  const pool = phased({ minSucceededPercent: 0, criteria: [criterion()] });
  expect(states(pool, 'g')).toBe('bench:assigned build:blocked');
  expect(pool.task('g-build').waitingFor).toBe('phase ship of group g: it follows phase measure, which it is in');
  end(pool, 'g-bench', 'SUCCEEDED', { ratio: 5.5 });
  expect(states(pool, 'g')).toBe('bench:succeeded build:assigned');
  end(pool, 'g-build');
  expect(groupOf(pool, 'g').state).toBe('GROUP_STATE_SUCCEEDED');
  expect(groupOf(pool, 'g').gates.map(({ phase, state }) => `${phase} ${state}`)).toEqual([
    'measure GATE_STATE_GO',
    'ship GATE_STATE_GO',
  ]);
});

test('no-go: the group fails with what was asked and what was found, and the rest is cancelled', () => {
  const pool = phased({ minSucceededPercent: 0, criteria: [criterion()] });
  end(pool, 'g-bench', 'SUCCEEDED', { ratio: 4.2 });
  expect(groupOf(pool, 'g')).toMatchObject({
    state: 'GROUP_STATE_FAILED',
    reason: 'no-go after phase measure: not /ratio of task g-bench is at least 5, but 4.2',
  });
  expect(states(pool, 'g')).toBe('bench:succeeded build:cancelled');
});

test('a gate may be content with a share of the tasks', () => {
  const more: Named[] = [['other', { ties: ties({ phase: 'measure' }) }]];
  const pool = phased({ minSucceededPercent: 50, criteria: [] }, more);
  end(pool, 'g-bench', 'TERMINAL');
  end(pool, 'g-other');
  expect(states(pool, 'g')).toBe('bench:failed build:assigned other:succeeded');
});

test('a gate that needs a yes waits for it, and for no longer than that', () => {
  const pool = phased({ minSucceededPercent: 0, criteria: [], approval: { operatorOnly: false } });
  const say = (approve: boolean, phase = '') => {
    const said = { task: '', group: 'g', phase, approve, reason: 'numbers are fine' };
    pool.run.execute('decide', said, { principal: queen('a'), now: pool.now });
    pool.pass(0);
  };
  expect(() => say(true)).toThrow('no gate of group "g" waits for a yes');
  expect(() => say(true, 'measure')).toThrow('has not reached the gate');
  expect(() => say(true, 'mesure')).toThrow(expect.objectContaining({ code: 'NOT_FOUND' }));
  end(pool, 'g-bench');
  expect(groupOf(pool, 'g').waitingFor).toBe('a yes to go on after phase measure, by swarm a or an operator');
  expect(pool.task('g-build').waitingFor).toContain('at whose gate it waits for a yes');
  pool.pass(86_400_000);
  expect(states(pool, 'g')).toBe('bench:succeeded build:blocked');
  say(true);
  expect(states(pool, 'g')).toBe('bench:succeeded build:assigned');
  say(true, 'measure');
  expect(() => say(false, 'measure')).toThrow(expect.objectContaining({ reason: 'DECIDED' }));
  expect(groupOf(pool, 'g').gates[0]?.verdict).toMatchObject({ approved: true, by: 'swarm:a' });
});

test('a no fails the group', () => {
  const pool = phased({ minSucceededPercent: 0, criteria: [], approval: { operatorOnly: true } });
  end(pool, 'g-bench');
  const said = { task: '', group: 'g', phase: '', approve: false, reason: 'too slow' };
  expect(() => pool.run.execute('decide', said, { principal: queen('a') })).toThrow('only an operator');
  pool.run.execute('decide', said, { principal: pool.operator });
  pool.pass(0);
  const reason = 'no-go after phase measure: refused by operator:ada: too slow';
  expect(groupOf(pool, 'g')).toMatchObject({ state: 'GROUP_STATE_FAILED', reason });
});

test.each<[Partial<Criterion>, unknown, boolean]>([
  [{ comparison: 'COMPARISON_AT_MOST' }, { ratio: 5 }, true],
  [{ comparison: 'COMPARISON_LESS' }, { ratio: 5 }, false],
  [{ comparison: 'COMPARISON_MORE' }, { ratio: 5.1 }, true],
  [{ comparison: 'COMPARISON_EQUAL', path: '/breaks', value: false }, { breaks: false }, true],
  [{ comparison: 'COMPARISON_EQUAL', path: '', value: [1, { a: 2 }] }, [1, { a: 2 }], true],
  [{ comparison: 'COMPARISON_AT_LEAST' }, { ratio: '9' }, false],
  [{ comparison: 'COMPARISON_AT_LEAST' }, {}, false],
  [{ comparison: 'COMPARISON_AT_LEAST' }, undefined, false],
])('%j of %j: %s', (change, result, holds) => {
  const pool = phased({ minSucceededPercent: 0, criteria: [criterion(change)] });
  end(pool, 'g-bench', 'SUCCEEDED', result);
  expect(pool.where('g-build')).toBe(holds ? 'ASSIGNED on a/x' : 'CANCELLED');
});

test('a JSON Pointer goes through objects, lists and escaped keys, and never into prototypes', () => {
  expect(at({ 'a/b': [{ '~': 1 }] }, '/a~1b/0/~0')).toBe(1);
  expect(at({ a: 1 }, '/constructor')).toBeUndefined();
  expect(at([1], '/length')).toBe(1);
  expect(at(null, '/a')).toBeUndefined();
});

test('a phase without tasks is its gate alone; criteria look at no later phase', () => {
  const pool = new Pool();
  pool.register('x');
  const gate = { minSucceededPercent: 0, criteria: [], approval: { operatorOnly: false } };
  const phases = [{ name: 'asked', gate }, { name: 'do' }];
  submitGroup(pool, 'g', [['a', { ties: ties({ phase: 'do' }) }]], { phases });
  expect(groupOf(pool, 'g').waitingFor).toContain('after phase asked');
  const early = { minSucceededPercent: 0, criteria: [criterion({ task: 'a' })] };
  const submit = () =>
    submitGroup(pool, 'h', [['a', { ties: ties({ phase: 'do' }) }]], {
      phases: [{ name: 'asked', gate: early }, { name: 'do' }],
    });
  expect(submit).toThrow('spec.phases[0].gate.criteria[0].task: "a" must be a task of the request');
  const typo = () => submitGroup(pool, 'h', [['a', { ties: ties({ phase: 'doo' }) }]], { phases });
  expect(typo).toThrow('did you mean do?');
});
