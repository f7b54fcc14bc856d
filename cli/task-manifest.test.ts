import { expect, test } from 'vitest';
import type { Fault } from './manifest/faults.ts';
import { parseTaskManifests } from './task-manifest.ts';

const MANIFEST = `
apiVersion: swarm.claudeflow.io/v1alpha1
kind: SwarmTask
metadata:
  name: deploy-infrastructure
spec:
  clusterRef: infra
  type: executor
  timeout: 5m
  task: |
    # first
    echo one
`;

function parse(text: string) {
  const faults: Fault[] = [];
  const specs = parseTaskManifests({ file: 'task.yaml', text }, faults);
  return { specs, faults: faults.map(({ line, column, text: what }) => `${line}:${column}: ${what}`) };
}

test('a SwarmTask is a task with a name; what it leaves out is empty', () => {
  expect(parse(MANIFEST)).toEqual({
    faults: [],
    specs: [
      {
        title: 'deploy-infrastructure',
        script: '# first\necho one\n',
        swarm: 'infra',
        type: 'executor',
        timeoutMs: 300_000,
        capabilities: [],
        labels: {},
        maxAttempts: 0,
        payload: undefined,
        priority: 0,
      },
    ],
  });
});

test('each document is a task; another kind belongs to apply, and is told at its place', () => {
  const other = MANIFEST.replace('deploy', 'destroy');
  expect(parse(`${MANIFEST}---${other}`).specs.map(({ title }) => title)).toEqual([
    ...['deploy-infrastructure', 'destroy-infrastructure'],
  ]);
  expect(parse(`${MANIFEST}---${MANIFEST.replace('SwarmTask', 'SwarmMemory')}`).faults).toEqual([
    '14:1: holds a SwarmMemory, and must hold a SwarmTask; other kinds are taken by hivebus apply',
  ]);
});
