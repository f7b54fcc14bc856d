import { parseDuration } from '../../libs/kernel/durations.ts';
import { isName, NAME_RULE } from '../../libs/kernel/names.ts';
import type { Faults } from '../../libs/rpc/validate.ts';
import type * as spec from '../../libs/wire/hivebus/registry/v1/cluster.ts';

/** A Kubernetes quantity, e.g. `10Gi`, `500M`, `1.5Ti`. */
const QUANTITY = /^\d+(\.\d+)?(k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$/;
const MAX_AGENTS = 100_000;
const MAX_LIST = 32;
const MAX_TYPES = 64;
/** Characters of a number with its unit. */
const MAX_NUMBER_LENGTH = 32;

/** Finds every fault of a cluster's desired state, under `spec`. What is left out has its default. */
export function checkClusterSpec(faults: Faults, wanted: spec.ClusterSpec): void {
  faults.optionalOneOf('spec.topology', wanted.topology, ['mesh', 'hierarchical', 'ring', 'star']);
  faults.optionalOneOf('spec.queenMode', wanted.queenMode, ['centralized', 'distributed']);
  faults.optionalOneOf('spec.strategy', wanted.strategy, ['parallel', 'sequential', 'adaptive', 'consensus']);
  faults.range('spec.consensusThreshold', wanted.consensusThreshold, 0, 1);
  if (wanted.hiveMind) hiveMind(faults, wanted.hiveMind);
  if (wanted.autoscaling) autoscaling(faults, wanted.autoscaling);
  if (wanted.memory) memory(faults, wanted.memory);
  if (wanted.neural) neural(faults, wanted.neural);
  if (wanted.monitoring) monitoring(faults, wanted.monitoring);
  volumes(faults, wanted.persistentVolumes);
}

function rule(faults: Faults, ok: boolean, field: string, value: unknown, text: string): void {
  if (!ok) faults.add(field, value, text);
}

/** A quantity above 0, as Kubernetes writes them. */
export const isQuantity = (text: string): boolean =>
  text.length <= MAX_NUMBER_LENGTH && QUANTITY.test(text) && Number.parseFloat(text) > 0;
const isDuration = (text: string): boolean => text.length <= MAX_NUMBER_LENGTH && (parseDuration(text) ?? 0) > 0;

const optionalQuantity = (faults: Faults, field: string, value: string): void =>
  rule(faults, value === '' || isQuantity(value), field, value, 'must be a quantity above 0 such as 10Gi');

const optionalDuration = (faults: Faults, field: string, value: string): void =>
  rule(faults, value === '' || isDuration(value), field, value, 'must be a duration above 0 such as 30s');

function hiveMind(faults: Faults, wanted: spec.HiveMindSpec): void {
  optionalQuantity(faults, 'spec.hiveMind.databaseSize', wanted.databaseSize);
  optionalDuration(faults, 'spec.hiveMind.syncInterval', wanted.syncInterval);
  optionalDuration(faults, 'spec.hiveMind.backupInterval', wanted.backupInterval);
  const { replicas } = wanted;
  const odd = replicas === 0 || (replicas <= 7 && replicas % 2 === 1);
  rule(faults, odd, 'spec.hiveMind.replicas', replicas, 'must be an odd number up to 7, or 0');
}

function autoscaling(faults: Faults, wanted: spec.AutoscalingSpec): void {
  const { minAgents, maxAgents, targetUtilization, metrics } = wanted;
  faults.range('spec.autoscaling.minAgents', minAgents, 0, MAX_AGENTS);
  faults.range('spec.autoscaling.maxAgents', maxAgents, 0, MAX_AGENTS);
  faults.range('spec.autoscaling.targetUtilization', targetUtilization, 0, 100);
  const inOrder = maxAgents === 0 || minAgents <= maxAgents;
  rule(faults, inOrder, 'spec.autoscaling.maxAgents', maxAgents, `must not be less than minAgents, ${minAgents}`);
  ratios(faults, wanted.topologyRatios);
  faults.list('spec.autoscaling.metrics', metrics, MAX_LIST, (at, metric) => {
    faults.oneOf(`${at}.type`, metric.type, ['cpu', 'memory', 'custom']);
    faults.length(`${at}.name`, metric.name, 128, metric.type === 'custom' ? 1 : 0);
    const rightTarget = isTarget(metric.target);
    rule(faults, rightTarget, `${at}.target`, metric.target, 'must be a number, a percentage or a duration above 0');
  });
}

const isTarget = (text: string): boolean =>
  (text.length <= MAX_NUMBER_LENGTH && /^\d+(\.\d+)?%?$/.test(text) && Number.parseFloat(text) > 0) || isDuration(text);

function ratios(faults: Faults, wanted: Record<string, number>): void {
  const field = 'spec.autoscaling.topologyRatios';
  faults.map(field, wanted, MAX_TYPES, (at, type, share) => {
    rule(faults, isName(type), field, type, NAME_RULE);
    faults.range(at, share, 1, 100);
  });
  const shares = Object.values(wanted);
  const sum = shares.reduce((before, share) => before + share, 0);
  rule(faults, shares.length === 0 || sum === 100, field, sum, 'must add up to 100');
}

function memory(faults: Faults, wanted: spec.MemorySpec): void {
  faults.optionalOneOf('spec.memory.type', wanted.type, ['embedded', 'redis', 'hazelcast', 'etcd']);
  optionalQuantity(faults, 'spec.memory.size', wanted.size);
  faults.range('spec.memory.replication', wanted.replication, 0, 7);
  faults.optionalOneOf('spec.memory.cachePolicy', wanted.cachePolicy, ['LRU', 'LFU', 'FIFO']);
}

function neural(faults: Faults, wanted: spec.NeuralSpec): void {
  faults.optionalOneOf('spec.neural.acceleration', wanted.acceleration, ['cpu', 'gpu', 'wasm-simd']);
  checkModels(faults, 'spec.neural.models', wanted.models);
}

export function checkModels(faults: Faults, field: string, models: readonly spec.NeuralModel[]): void {
  faults.list(field, models, MAX_LIST, (at, model) => {
    faults.length(`${at}.name`, model.name, 128, 1);
    faults.length(`${at}.type`, model.type, 128);
    faults.length(`${at}.path`, model.path, 512);
  });
  faults.distinct(field, namesOf(models));
}

function monitoring(faults: Faults, wanted: spec.MonitoringSpec): void {
  faults.range('spec.monitoring.metricsPort', wanted.metricsPort, 0, 65_535);
  faults.list('spec.monitoring.alertRules', wanted.alertRules, MAX_LIST, (at, alert) => {
    faults.length(`${at}.name`, alert.name, 128, 1);
    faults.length(`${at}.expression`, alert.expression.trim(), 2048, 1);
    optionalDuration(faults, `${at}.duration`, alert.duration);
    faults.optionalOneOf(`${at}.severity`, alert.severity, ['critical', 'warning', 'info']);
  });
  faults.distinct('spec.monitoring.alertRules', namesOf(wanted.alertRules));
}

function volumes(faults: Faults, wanted: readonly spec.PersistentVolume[]): void {
  faults.list('spec.persistentVolumes', wanted, MAX_LIST, (at, { name, size, mountPath }) => {
    faults.name(`${at}.name`, name);
    rule(faults, isQuantity(size), `${at}.size`, size, 'must be a quantity above 0 such as 10Gi');
    rule(faults, /^\/.{0,511}$/.test(mountPath), `${at}.mountPath`, mountPath, 'must be an absolute path');
  });
  faults.distinct('spec.persistentVolumes', namesOf(wanted));
  const paths = wanted.map((volume) => volume.mountPath);
  faults.distinct('spec.persistentVolumes', paths);
}

const namesOf = (items: readonly { name: string }[]): string[] => items.map(({ name }) => name);
