import type { AgentSpec } from '../../libs/wire/hivebus/registry/v1/agent.ts';
import { changesBetween } from './changes.ts';
import type { Document } from './document.ts';
import type { Fault } from './faults.ts';
import { type Defaults, orNone, type Planned, swarmOf } from './planned.ts';

/** A model may be given by its name alone. */
export function withModels(spec: object): object {
  const { neuralModels } = spec as { neuralModels?: unknown };
  if (!Array.isArray(neuralModels)) return spec;
  return { ...spec, neuralModels: neuralModels.map((each) => (typeof each === 'string' ? { name: each } : each)) };
}

export function planAgent(
  document: Document,
  name: string,
  given: object,
  defaults: Defaults,
  faults: Fault[],
): Planned | undefined {
  const ref = (given as AgentSpec).clusterRef || defaults.swarm;
  if (!ref) {
    document.fault(faults, 'spec.clusterRef', 'must be given, here or for all manifests by --swarm');
    return undefined;
  }
  const spec: AgentSpec = { ...(given as AgentSpec), clusterRef: ref };
  return {
    document,
    kind: 'swarmagent',
    name: `${ref}/${name}`,
    pathOf: (field) => ({ name: 'metadata.name', swarm: 'spec.clusterRef' })[field] ?? field,
    apply: async (hive, dryRun) => {
      const swarm = await swarmOf(hive, ref);
      const stored = dryRun ? (await orNone(hive.registry.getDeclaredAgent({ swarm, name })))?.agent : undefined;
      const { agent, created, changed } = await hive.registry.putDeclaredAgent({ swarm, name, spec, dryRun });
      return {
        change: created ? 'created' : changed ? 'changed' : 'unchanged',
        changes: dryRun ? changesBetween('spec', stored?.spec, agent?.spec) : [],
        note: `generation ${agent?.generation}`,
      };
    },
  };
}
