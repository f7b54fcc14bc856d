import type { ClusterSpec } from '../../libs/wire/hivebus/registry/v1/cluster.ts';
import { changesBetween } from './changes.ts';
import type { Document } from './document.ts';
import { orNone, type Planned } from './planned.ts';

export const planCluster = (document: Document, name: string, spec: object): Planned => ({
  document,
  name,
  kind: 'cluster',
  pathOf: (field) => (field === 'name' || field === 'swarm' ? 'metadata.name' : field),
  apply: async (hive, dryRun) => {
    const stored = dryRun ? (await orNone(hive.registry.getCluster({ name })))?.cluster : undefined;
    const { cluster, created, changed } = await hive.registry.putCluster({
      ...{ name, dryRun, spec: spec as ClusterSpec },
      swarm: stored?.swarm ?? '',
    });
    return {
      change: created ? 'created' : changed ? 'changed' : 'unchanged',
      changes: dryRun ? changesBetween('spec', stored?.spec, cluster?.spec) : [],
      note: `generation ${cluster?.generation}`,
    };
  },
});
