import { expect, test } from 'vitest';
import type { HiveError, Violation } from '../../libs/kernel/errors.ts';
import { Faults } from '../../libs/rpc/validate.ts';
import { ClusterSpec } from '../../libs/wire/hivebus/registry/v1/cluster.ts';
import { checkClusterSpec } from './cluster-spec.ts';

function violations(json: object): readonly Violation[] {
  const faults = new Faults();
  checkClusterSpec(faults, ClusterSpec.fromJSON(json));
  try {
    faults.throwIfAny();
    return [];
  } catch (error) {
    return (error as HiveError).violations;
  }
}
const fields = (json: object) => violations(json).map((each) => each.field);

test('the whole example of a SwarmCluster is accepted', () => {
  const spec = {
    topology: 'hierarchical',
    queenMode: 'distributed',
    strategy: 'adaptive',
    consensusThreshold: 0.66,
    hiveMind: { enabled: true, databaseSize: '10Gi', syncInterval: '30s', backupEnabled: true, backupInterval: '1h' },
    autoscaling: {
      enabled: true,
      minAgents: 3,
      maxAgents: 20,
      targetUtilization: 80,
      topologyRatios: { coordinator: 10, researcher: 30, coder: 40, analyst: 20 },
      metrics: [
        { type: 'custom', name: 'task_queue_depth', target: '10' },
        { type: 'cpu', target: '80' },
        { type: 'custom', name: 'avg_task_duration', target: '30s' },
      ],
    },
    memory: { type: 'redis', size: '2Gi', replication: 3, persistence: true, cachePolicy: 'LRU', compression: true },
    neural: {
      enabled: true,
      acceleration: 'wasm-simd',
      trainingEnabled: true,
      models: [{ name: 'pattern-recognition-v1', type: 'pattern-recognition', path: 's3://models/pattern-v1' }],
    },
    monitoring: {
      enabled: true,
      metricsPort: 9090,
      dashboardEnabled: true,
      alertRules: [{ name: 'high', expression: 'rate(x[5m]) > 0.1', duration: '5m', severity: 'critical' }],
    },
    persistentVolumes: [{ name: 'datasets', size: '1Ti', mountPath: '/data' }],
  };
  expect(violations(spec)).toEqual([]);
  expect(violations({})).toEqual([]);
  expect(
    violations({ monitoring: { alertRules: [{ name: 'a', expression: 'x > 0', severity: 'critical' }] } }),
  ).toEqual([]);
});

test('every fault is told at once, with field, value and rule', () => {
  const all = violations({
    topology: 'cube',
    consensusThreshold: 1.5,
    hiveMind: { databaseSize: '10GiB', syncInterval: 'soon', replicas: 4 },
    autoscaling: { minAgents: 5, maxAgents: 2, targetUtilization: 101, topologyRatios: { coder: 50, tester: 40 } },
    memory: { type: 'floppy', size: '0Gi', replication: 9, cachePolicy: 'lru' },
  });
  expect(all.map((each) => each.field)).toEqual([
    'spec.topology',
    'spec.consensusThreshold',
    'spec.hiveMind.databaseSize',
    'spec.hiveMind.syncInterval',
    'spec.hiveMind.replicas',
    'spec.autoscaling.targetUtilization',
    'spec.autoscaling.maxAgents',
    'spec.autoscaling.topologyRatios',
    'spec.memory.type',
    'spec.memory.size',
    'spec.memory.replication',
    'spec.memory.cachePolicy',
  ]);
  expect(all[0]).toEqual({
    field: 'spec.topology',
    value: '"cube"',
    rule: 'must be mesh, hierarchical, ring, star',
  });
  expect(all[7]).toMatchObject({ value: '90', rule: 'must add up to 100' });
});

test.each([
  [{ queenMode: 'none' }, 'spec.queenMode'],
  [{ strategy: 'hope' }, 'spec.strategy'],
  [{ autoscaling: { metrics: [{ type: 'disk', target: '5' }] } }, 'spec.autoscaling.metrics[0].type'],
  [{ autoscaling: { metrics: [{ type: 'custom', target: '5' }] } }, 'spec.autoscaling.metrics[0].name'],
  [{ autoscaling: { metrics: [{ type: 'cpu', target: 'high' }] } }, 'spec.autoscaling.metrics[0].target'],
  [{ neural: { acceleration: 'abacus' } }, 'spec.neural.acceleration'],
  [{ neural: { models: [{ name: '' }] } }, 'spec.neural.models[0].name'],
  [{ monitoring: { metricsPort: 70_000 } }, 'spec.monitoring.metricsPort'],
  [{ monitoring: { alertRules: [{ name: 'a', expression: ' ' }] } }, 'spec.monitoring.alertRules[0].expression'],
  [{ persistentVolumes: [{ name: 'a', size: '1Gi', mountPath: 'data' }] }, 'spec.persistentVolumes[0].mountPath'],
  [{ persistentVolumes: [{ name: 'a', mountPath: '/a' }] }, 'spec.persistentVolumes[0].size'],
])('%j is refused', (json, field) => {
  expect(fields(json)).toEqual([field]);
});

test('a name is not there twice', () => {
  const volume = { name: 'a', size: '1Gi', mountPath: '/a' };
  expect(fields({ persistentVolumes: [volume, volume] })).toEqual(['spec.persistentVolumes', 'spec.persistentVolumes']);
});
