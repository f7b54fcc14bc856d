import { expect, test } from 'vitest';
import type { Fault } from './faults.ts';
import { planAll } from './plan.ts';

const task = (name: string, ...after: string[]): string =>
  [
    'apiVersion: swarm.claudeflow.io/v1alpha1',
    'kind: SwarmTask',
    `metadata: { name: ${name} }`,
    `spec: { task: "true", after: [${after.join(', ')}], onDependencyFailure: fail }`,
  ].join('\n');

function planned(...documents: string[]) {
  const faults: Fault[] = [];
  const source = { file: 'f.yaml', text: documents.join('\n---\n') };
  const all = planAll([source], { swarm: 'code', type: 'shell' }, faults);
  return { names: all.map(({ name }) => name), faults: faults.map(({ text }) => text) };
}

test('tasks come after those that they depend on, the rest stays in order', () => {
  expect(planned(task('c', 'b'), task('x'), task('b', 'a', 'elsewhere'), task('a')).names).toEqual([
    'a',
    'b',
    'c',
    'x',
  ]);
});

test('a circle is a fault that names its tasks', () => {
  expect(planned(task('a', 'b'), task('b', 'a')).faults.join()).toContain('a -> b -> a');
});

test('a group is planned with its words as the contract has them; a wrong one is told with its place', () => {
  const group = (strategy: string) =>
    [
      'apiVersion: swarm.claudeflow.io/v1alpha1',
      'kind: SwarmTaskGroup',
      'metadata: { name: g }',
      'spec:',
      `  strategy: ${strategy}`,
      '  onFailure: continue',
      '  tasks:',
      '    - { name: one, spec: { task: "true" } }',
      '    - { name: two, spec: { task: "true", after: [one] } }',
    ].join('\n');
  expect(planned(group('sequential'))).toEqual({ names: ['g'], faults: [] });
  expect(planned(group('sequentail')).faults.join()).toContain('strategy');
  const broken = group('adaptive').replace('{ task: "true" }', '{ timeout: soon }');
  const { faults } = planned(broken);
  expect(faults.join()).toContain('must be a duration');
});
