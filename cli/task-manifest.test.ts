import { expect, test } from 'vitest';
import { parseTaskManifest } from './task-manifest.ts';

const MANIFEST = `
apiVersion: swarm.claudeflow.io/v1alpha1
kind: SwarmTask
metadata:
  name: deploy-infrastructure
spec:
  clusterRef: infra
  type: executor
  task: |
    # first
    echo one
`;

test('a SwarmTask is a script with a name', () => {
  expect(parseTaskManifest(MANIFEST)).toEqual({
    title: 'deploy-infrastructure',
    script: '# first\necho one\n',
    swarm: 'infra',
    type: 'executor',
  });
});

test('all faults are told at once', () => {
  const text = 'apiVersion: v1\nkind: SwarmTask\nmetadata: {name: Bad}\nspec: {resume: true, taks: x}\n';
  expect(() => parseTaskManifest(text)).toThrow(
    /apiVersion: "v1" .*metadata.name: "Bad" .*spec.task: .*spec.resume: true is not supported yet.*spec.taks: "x" is not known/,
  );
});

test.each(['', '[]', 'x', 'null'])('%j is no manifest', (text) => {
  expect(() => parseTaskManifest(text)).toThrow(/kind: .* must be SwarmTask/);
});

test('broken YAML is told by its line', () => {
  expect(() => parseTaskManifest('kind: SwarmTask\nspec: {task: "x\n')).toThrow(/line \d/);
});
