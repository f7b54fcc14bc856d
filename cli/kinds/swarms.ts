import { counted } from '../../libs/kernel/counted.ts';
import type { Liveness, Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { facts } from '../output.ts';
import { allSwarms } from '../queries.ts';
import { stateText } from '../render.ts';
import { ago, between } from '../values.ts';
import { type Kind, named, present } from './kind.ts';

const SINCE_MATTERS: readonly Liveness[] = ['LIVENESS_SUSPECT', 'LIVENESS_UNREACHABLE'];

function livenessText(swarm: Swarm): string {
  const text = stateText(swarm.liveness, 'LIVENESS');
  return SINCE_MATTERS.includes(swarm.liveness) ? `${text} for ${between(swarm.livenessSince, undefined)}` : text;
}

const offersText = (swarm: Swarm): string =>
  swarm.capabilities.map((each) => `${each.agentType}:${each.capacity}`).join(' ');

export const SWARMS: Kind<Swarm> = {
  name: 'swarm',
  plural: 'swarms',
  aliases: ['sw'],
  what: 'projects that take part, each with its agents',
  service: 'registry',
  none: 'no swarms are registered',
  filters: ['swarm'],
  columns: [
    { title: 'NAME', of: ({ name }) => name },
    { title: 'LIVENESS', of: livenessText },
    { title: 'HEALTH', of: ({ health }) => (health ? health.value.toFixed(2) : '-') },
    { title: 'OFFERS', of: (swarm) => offersText(swarm) || '-' },
    { title: 'PROJECT', of: ({ project }) => project || '-' },
    { title: 'REGISTERED', of: ({ registeredAt }) => ago(registeredAt) },
  ],
  nameOf: ({ name }) => name,
  list: async (hive, { swarm }) => {
    const all = await allSwarms(hive);
    return swarm ? all.filter(({ name }) => name === swarm) : all;
  },
  get: async (hive, name) => present((await hive.registry.getSwarm({ name })).swarm, 'swarm', name),
  details: (swarm) =>
    facts([
      ['swarm', swarm.name],
      ['liveness', livenessText(swarm)],
      ['health', swarm.health ? swarm.health.value.toFixed(2) : ''],
      ...(swarm.health?.parts ?? []).map(
        ({ name, weight, value, reason }) =>
          [`  ${name}`, `${weight > 0 ? value.toFixed(2) : '-   '}  ${reason}`] as const,
      ),
      ['heartbeat', swarm.lastHeartbeatAt ? ago(swarm.lastHeartbeatAt) : 'none was heard'],
      ['project', swarm.project],
      ['queen', swarm.queenEndpoint],
      ['region', swarm.region],
      ['tags', swarm.tags.join(' ')],
      ...swarm.capabilities.map(
        ({ agentType, capacity, skills, specializations }) =>
          ['offers', [`${agentType}:${capacity}`, ...skills, ...specializations].join(', ')] as const,
      ),
      [
        'load',
        swarm.load ? `${counted(swarm.load.agents, 'agent')}, ${Math.round(100 * swarm.load.utilization)}% busy` : '',
      ],
      ['key', swarm.publicKey || 'none: only operators change it'],
      ['registered', ago(swarm.registeredAt)],
      ['updated', ago(swarm.updatedAt)],
      ['revision', swarm.revision],
    ]),
  swarmsOf: ({ name }) => [name],
  touched: named('swarm', 'name'),
  remove: {
    means: 'its name is free from then on',
    run: async (hive, name) => {
      await hive.registry.deregisterSwarm({ name });
      return `swarm ${name} is removed`;
    },
  },
};
