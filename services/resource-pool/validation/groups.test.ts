import { expect, test } from 'vitest';
import type { HiveError } from '../../../libs/kernel/errors.ts';
import type { SubmitGroupRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { groupRequest, type Named, ties } from '../core/group-fixtures.ts';
import { checkDecision, checkGroup } from './groups.ts';

const ONE: readonly Named[] = [['a']];

/** The fields that are wrong, with their rules. */
function faults(request: SubmitGroupRequest): string[] {
  try {
    checkGroup(request);
    return [];
  } catch (error) {
    return (error as HiveError).violations.map(({ field, rule }) => `${field} ${rule}`);
  }
}

test('a good group passes: phases without a group named, criteria of each kind', () => {
  const criteria = [
    { task: 'a', path: '/x/0', comparison: 'COMPARISON_AT_LEAST', value: 5 },
    { task: 'a', path: '', comparison: 'COMPARISON_EQUAL', value: { ok: true } },
  ] as const;
  const phases = [{ name: 'one', gate: { minSucceededPercent: 50, criteria: [...criteria] } }, { name: 'two' }];
  const tasks: Named[] = [
    ['a', { ties: ties({ phase: 'one' }) }],
    ['', { ties: ties({ phase: 'two' }) }],
  ];
  expect(faults(groupRequest('g', tasks, { phases }))).toEqual([]);
});

test('all faults are told at once, each with its place', () => {
  const twice: Named[] = [
    ['a', { type: 'Bad Type' }],
    ['a', { ties: ties({ vote: 1 }) }],
  ];
  const found = faults(groupRequest('g', twice, { onFailure: 'FAILURE_POLICY_FAIL', maxConcurrency: 2000 }));
  expect(found.map((each) => each.split(' ')[0])).toEqual([
    'spec.maxConcurrency',
    'spec.onFailure',
    'tasks[0].spec.type',
    'tasks[1].name',
    'tasks[1].spec.ties.vote',
  ]);
});

test('what belongs to a strategy is asked for by it alone', () => {
  const consensus = { votes: 3, thresholdPercent: 40, tie: 'TIE_RULE_FAIL', hearAll: false } as const;
  expect(faults(groupRequest('g', ONE, { consensus })).join()).toContain('only then');
  const strategy = 'GROUP_STRATEGY_CONSENSUS';
  expect(faults(groupRequest('g', ONE, { strategy })).join()).toContain('spec.consensus');
  expect(faults(groupRequest('g', ONE, { strategy, consensus })).join()).toContain('must be 51 to 100');
  const good = { ...consensus, thresholdPercent: 0 };
  expect(faults(groupRequest('g', [['a'], ['b']], { strategy, consensus: good })).join()).toContain('must be 1 when');
  const adaptive = { initial: 2, min: 1, tolerancePercent: 100 };
  expect(faults(groupRequest('g', ONE, { adaptive })).join()).toContain('unless it is ADAPTIVE');
  const absurd = faults(groupRequest('g', ONE, { strategy: 'GROUP_STRATEGY_ADAPTIVE', adaptive }));
  expect(absurd).toEqual(['spec.adaptive.tolerancePercent must be 110 to 1000, or 0 for the default, 200']);
  const two = { strategy: 'GROUP_STRATEGY_SEQUENTIAL', maxConcurrency: 2 } as const;
  expect(faults(groupRequest('g', ONE, two)).join()).toContain('must be 0 to 1');
});

test('criteria need a pointer, a comparison and a value that fits', () => {
  const gate = (change: object) => ({
    phases: [
      {
        name: 'one',
        gate: {
          minSucceededPercent: 0,
          criteria: [{ task: 'a', path: '/x', comparison: 'COMPARISON_LESS' as const, value: 1, ...change }],
        },
      },
    ],
  });
  const at = (change: object) => faults(groupRequest('g', ONE, gate(change))).join();
  expect(at({})).toBe('');
  expect(at({ path: 'x' })).toContain('must be a JSON Pointer');
  expect(at({ comparison: 'COMPARISON_UNSPECIFIED' })).toContain('must be said');
  expect(at({ value: 'many' })).toContain('must be a number');
  expect(at({ comparison: 'COMPARISON_EQUAL', value: 'x'.repeat(2000) })).toContain('at most 1024');
});

test('a decision is on a task or on a group', () => {
  const said = { task: '', group: '', phase: '', approve: true, reason: '' };
  expect(() => checkDecision(said)).toThrow('or group must be given, and not both');
  expect(() => checkDecision({ ...said, task: 'a', phase: 'one' })).toThrow('must be empty without a group');
  expect(() => checkDecision({ ...said, group: 'g', phase: 'one' })).not.toThrow();
});
