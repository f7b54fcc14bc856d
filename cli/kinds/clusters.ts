import { counted } from '../../libs/kernel/counted.ts';
import type { Cluster } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { clusterManifest } from '../manifest/written.ts';
import { facts, yamlOf } from '../output.ts';
import { allClusters } from '../queries.ts';
import { ago } from '../values.ts';
import { type Kind, named, present } from './kind.ts';

const scaleText = ({ spec }: Cluster): string => {
  const { enabled = false, minAgents = 0, maxAgents = 0 } = spec?.autoscaling ?? {};
  if (!enabled) return 'off';
  if (maxAgents > minAgents) return `${minAgents} to ${maxAgents} agents`;
  // Neither was given: how many is for whoever acts on it.
  return minAgents === 0 ? 'unbounded' : counted(minAgents, 'agent');
};

export const CLUSTERS: Kind<Cluster> = {
  name: 'cluster',
  plural: 'clusters',
  aliases: ['cl', 'swarmcluster', 'swarmclusters'],
  what: 'what swarms shall be, as applied; nothing acts on it yet',
  service: 'registry',
  none: 'no clusters are stored',
  filters: ['swarm'],
  columns: [
    { title: 'CLUSTER', of: ({ name }) => name },
    { title: 'SWARM', of: ({ swarm }) => swarm },
    { title: 'GENERATION', of: ({ generation }) => generation },
    { title: 'TOPOLOGY', of: ({ spec }) => spec?.topology || 'hierarchical' },
    { title: 'AUTOSCALING', of: scaleText },
    { title: 'MEMORY', of: ({ spec }) => spec?.memory?.type || 'embedded' },
    { title: 'CHANGED', of: ({ updatedAt }) => ago(updatedAt) },
  ],
  nameOf: ({ name }) => name,
  list: (hive, { swarm = '' }) => allClusters(hive, { swarm }),
  get: async (hive, name) => present((await hive.registry.getCluster({ name })).cluster, 'cluster', name),
  details: (cluster) => {
    const known = facts([
      ['cluster', cluster.name],
      ['swarm', cluster.swarm],
      ['generation', cluster.generation],
      ['created', ago(cluster.createdAt)],
      ['changed', ago(cluster.updatedAt)],
      ['revision', cluster.revision],
    ]);
    return `${known}\n\n${yamlOf({ spec: cluster.spec ?? {} })}`;
  },
  swarmsOf: ({ swarm }) => [swarm],
  touched: named('cluster', 'name'),
  manifest: clusterManifest,
  remove: {
    means: 'what was wanted is forgotten; the swarm stays',
    run: async (hive, name) => {
      await hive.registry.deleteCluster({ name });
      return `cluster ${name} is removed`;
    },
  },
};
