import type { DeclaredAgent } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { agentManifest } from '../manifest/written.ts';
import { facts, yamlOf } from '../output.ts';
import { allDeclaredAgents } from '../queries.ts';
import { ago } from '../values.ts';
import { agentName } from './agents.ts';
import { type Kind, present, textOf } from './kind.ts';

const nameOf = ({ swarm, name }: DeclaredAgent): string => `${swarm}/${name}`;

export const SWARM_AGENTS: Kind<DeclaredAgent> = {
  name: 'swarmagent',
  plural: 'swarmagents',
  aliases: ['sa'],
  what: 'agents that swarms shall have, as applied; nothing starts them yet',
  service: 'registry',
  none: 'no agents are declared',
  filters: ['swarm'],
  columns: [
    { title: 'AGENT', of: nameOf },
    { title: 'TYPE', of: ({ spec }) => spec?.type ?? '-' },
    { title: 'SLOTS', of: ({ spec }) => String(spec?.maxConcurrentTasks || 1) },
    { title: 'GENERATION', of: ({ generation }) => generation },
    { title: 'CHANGED', of: ({ updatedAt }) => ago(updatedAt) },
    { title: 'CAPABILITIES', of: ({ spec }) => spec?.capabilities.join(' ') || '-' },
  ],
  nameOf,
  list: (hive, { swarm = '' }) => allDeclaredAgents(hive, { swarm }),
  get: async (hive, name) =>
    present((await hive.registry.getDeclaredAgent(agentName(name))).agent, 'declared agent', name),
  details: (agent) => {
    const known = facts([
      ['agent', nameOf(agent)],
      ['generation', agent.generation],
      ['created', ago(agent.createdAt)],
      ['changed', ago(agent.updatedAt)],
      ['revision', agent.revision],
    ]);
    return `${known}\n\n${yamlOf({ spec: agent.spec ?? {} })}`;
  },
  swarmsOf: ({ swarm }) => [swarm],
  touched: (event) =>
    event.type.startsWith('declared-agent.') ? [`${textOf(event, 'swarm')}/${textOf(event, 'name')}`] : [],
  manifest: agentManifest,
  remove: {
    means: 'the declaration is forgotten; agents that run stay',
    run: async (hive, name) => {
      await hive.registry.deleteDeclaredAgent(agentName(name));
      return `swarmagent ${name} is removed`;
    },
  },
};
