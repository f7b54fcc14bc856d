import { expect, test } from 'vitest';
import type { Fault } from './manifest/faults.ts';
import { parseTaskManifest } from './task-manifest.ts';

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
  const spec = parseTaskManifest({ file: 'task.yaml', text }, faults);
  return { spec, faults: faults.map(({ line, column, text: what }) => `${line}:${column}: ${what}`) };
}

test('a SwarmTask is a task with a name; what it leaves out is empty', () => {
  expect(parse(MANIFEST)).toEqual({
    faults: [],
    spec: {
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
  });
});

test('another kind, or a second document, belongs to apply', () => {
  expect(parse(MANIFEST.replace('SwarmTask', 'SwarmMemory')).faults).toEqual([
    '1:1: holds a SwarmMemory, and must hold a SwarmTask; other kinds are taken by hivebus apply',
  ]);
  expect(parse(`${MANIFEST}---${MANIFEST}`).faults[0]).toContain('must be the only document');
});
