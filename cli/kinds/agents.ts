import { counted } from '../../libs/kernel/counted.ts';
import { invalid, quote } from '../../libs/kernel/errors.ts';
import type { Agent, Performance } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { colors, facts } from '../output.ts';
import { allAgents } from '../queries.ts';
import { stateText } from '../render.ts';
import { ago, between } from '../values.ts';
import { type Kind, present, textOf } from './kind.ts';
import { LEASES } from './leases.ts';
import { TASKS } from './tasks.ts';

const nameOf = ({ swarm, name }: Agent): string => `${swarm}/${name}`;

/** `SWARM/NAME` */
export function agentName(name: string): { swarm: string; name: string } {
  const [swarm = '', own = '', ...rest] = name.split('/');
  if (swarm !== '' && own !== '' && rest.length === 0) return { swarm, name: own };
  throw invalid([{ field: 'agent', value: quote(name), rule: 'must be SWARM/NAME, as hivebus agent list shows it' }]);
}

/** The agent of something that may be forgotten already. */
async function agentsOf<T>(asked: Promise<T>, agentOf: (item: T) => string): Promise<string[]> {
  const item = await asked.catch(() => undefined);
  const agent = item && agentOf(item);
  return agent ? [agent] : [];
}

const servesText = (agent: Agent): string =>
  agent.lease === '' ? agent.serving || agent.swarm : colors.cyan(`${agent.serving} (lent)`);

/** Out of service counts more than ready; that it is silent counts more than that. */
function agentStateText({ state, drain }: Agent): string {
  if (!drain || state !== 'AGENT_STATE_READY') return stateText(state, 'AGENT_STATE');
  return colors.yellow(drain.done ? 'drained' : 'draining');
}

function drainText({ drain }: Agent): string {
  if (!drain) return '';
  const why = drain.reason === '' ? '' : `: ${drain.reason}`;
  if (drain.done) return `done, given nothing new for ${between(drain.since, undefined)}${why}`;
  return `what runs may go on until ${drain.until}${why}`;
}

const labelsText = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ');

function performanceText(performance: Performance | undefined): string {
  if (!performance) return 'not known yet';
  const { successRate, relativeDuration, samples } = performance;
  return `${Math.round(successRate * 100)}% succeed, in ${relativeDuration.toFixed(2)} of the usual time, by ${counted(samples, 'attempt')}`;
}

const heardText = ({ lastHeartbeatAt }: Agent): string => ago(lastHeartbeatAt);

export const AGENTS: Kind<Agent> = {
  name: 'agent',
  plural: 'agents',
  aliases: ['ag'],
  what: 'workers that run, as SWARM/NAME',
  service: 'pool',
  none: 'no agents are registered',
  filters: ['swarm'],
  columns: [
    { title: 'AGENT', of: nameOf },
    { title: 'STATE', of: agentStateText },
    { title: 'BUSY', of: ({ busy, slots }) => `${busy}/${slots}` },
    { title: 'HEARD', of: heardText },
    { title: 'TYPE', of: ({ type }) => type },
    { title: 'SERVES', of: servesText },
    { title: 'CAPABILITIES', of: ({ capabilities }) => capabilities.join(' ') || '-' },
  ],
  nameOf,
  list: (hive, { swarm = '' }) => allAgents(hive, { swarm }),
  get: async (hive, name) => present((await hive.pool.getAgent(agentName(name))).agent, 'agent', name),
  details: (agent) =>
    facts([
      ['agent', nameOf(agent)],
      ['state', `${stateText(agent.state, 'AGENT_STATE')} for ${between(agent.stateSince, undefined)}`],
      ['drain', drainText(agent)],
      ['busy', `${agent.busy} of ${agent.slots} slots`],
      ['heartbeat', agent.lastHeartbeatAt ? heardText(agent) : 'none was heard'],
      ['type', agent.type],
      ['can', agent.capabilities.join(' ')],
      ['scripts', agent.allowScripts ? 'allowed' : 'not allowed'],
      ['serves', servesText(agent)],
      ['lease', agent.lease],
      ['region', agent.region],
      ['labels', labelsText(agent.labels)],
      ['best at', agent.specialisations.join(' ')],
      ['priority', String(agent.priority)],
      ['cost', String(agent.cost)],
      ['performance', performanceText(agent.performance)],
      ['instance', agent.instance],
      ['revision', agent.revision],
    ]),
  swarmsOf: ({ swarm, serving }) => [swarm, serving],
  touched: async (event, hive) => {
    const own = textOf(event, 'agent');
    if (own !== '') return [own];
    switch (event.type) {
      case 'agent.registered':
      case 'agent.migrated':
        return event.data?.agent ? [nameOf(event.data.agent)] : [];
      case 'lease.ended':
        return agentsOf(LEASES.get(hive, textOf(event, 'lease')), ({ agent }) => agent);
      case 'task.attempt-ended':
      case 'task.ended':
        return agentsOf(TASKS.get(hive, textOf(event, 'task')), ({ attempts }) => attempts.at(-1)?.agent ?? '');
      default:
        return [];
    }
  },
  remove: {
    means: 'it is given no more work; its running tasks are given to others',
    run: async (hive, name) => {
      await hive.pool.deregisterAgent(agentName(name));
      return `agent ${name} is removed; a program that still runs may register it again`;
    },
  },
};
