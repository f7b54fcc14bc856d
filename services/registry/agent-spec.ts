import type { Faults } from '../../libs/rpc/validate.ts';
import type { AgentResources, AgentSpec, Toleration } from '../../libs/wire/hivebus/registry/v1/agent.ts';
import { checkModels, isQuantity } from './cluster-spec.ts';

const PATTERNS = ['convergent', 'divergent', 'lateral', 'systems', 'critical'];
const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];
const MAX_LIST = 32;
/** `2`, `0.5`, `2000m` */
const PROCESSORS = /^(\d{1,6}(\.\d{1,3})?|\d{1,9}m)$/;

/** Finds every fault of a declared agent, under `spec`. What is left out has its default. */
export function checkAgentSpec(faults: Faults, wanted: AgentSpec): void {
  faults.name('spec.type', wanted.type);
  faults.optionalName('spec.clusterRef', wanted.clusterRef);
  faults.optionalOneOf('spec.cognitivePattern', wanted.cognitivePattern, PATTERNS);
  faults.range('spec.priority', wanted.priority, 0, 1000);
  faults.range('spec.maxConcurrentTasks', wanted.maxConcurrentTasks, 0, 256);
  faults.list('spec.capabilities', wanted.capabilities, MAX_LIST, (at, name) => faults.name(at, name));
  faults.distinct('spec.capabilities', wanted.capabilities);
  faults.list('spec.specialization', wanted.specialization, MAX_LIST, (at, text) => faults.length(at, text, 64, 1));
  faults.distinct('spec.specialization', wanted.specialization);
  checkModels(faults, 'spec.neuralModels', wanted.neuralModels);
  if (wanted.resources) resources(faults, wanted.resources);
  faults.map('spec.nodeSelector', wanted.nodeSelector, MAX_LIST, (at, key, value) => {
    faults.length(`${at} key`, key, 256, 1);
    faults.length(at, value, 256);
  });
  faults.list('spec.tolerations', wanted.tolerations, MAX_LIST, (at, each) => toleration(faults, at, each));
}

function resources(faults: Faults, { cpu, memory, gpu }: AgentResources): void {
  const cpuIsRight = cpu === '' || (PROCESSORS.test(cpu) && Number.parseFloat(cpu) > 0);
  if (!cpuIsRight) faults.add('spec.resources.cpu', cpu, 'must be a quantity above 0 such as 2 or 2000m');
  const memoryIsRight = memory === '' || isQuantity(memory);
  if (!memoryIsRight) faults.add('spec.resources.memory', memory, 'must be a quantity above 0 such as 4Gi');
  if (!/^\d{0,3}$/.test(gpu)) faults.add('spec.resources.gpu', gpu, 'must be a whole number up to 999');
}

function toleration(faults: Faults, at: string, { key, operator, value, effect }: Toleration): void {
  faults.length(`${at}.key`, key, 256);
  faults.optionalOneOf(`${at}.operator`, operator, ['Exists', 'Equal']);
  faults.length(`${at}.value`, value, 256);
  if (operator === 'Exists' && value !== '') {
    faults.add(`${at}.value`, value, 'must be empty where the operator is Exists');
  }
  faults.optionalOneOf(`${at}.effect`, effect, EFFECTS);
}
