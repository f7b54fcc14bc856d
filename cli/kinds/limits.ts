import type { Hive } from '../../libs/sdk/hive.ts';
import type { SwarmLimits, SwarmUsage } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { colors, facts } from '../output.ts';
import { ofEachSwarm } from '../queries.ts';
import { ago } from '../values.ts';
import { type Kind, present } from './kind.ts';

/** What a swarm may use, and what it uses. */
export interface LimitsAndUsage extends SwarmLimits {
  readonly usage: SwarmUsage;
}

const NO_USAGE: SwarmUsage = { running: 0, queued: 0, leases: 0, requests: 0 };

export async function limitsOf(hive: Hive, swarm: string): Promise<LimitsAndUsage> {
  const { limits, usage = NO_USAGE } = await hive.pool.getSwarmLimits({ swarm });
  return { ...present(limits, 'swarm', swarm), usage };
}

/** `7/10`; without a limit `7`. */
function used(count: number, max: number): string {
  if (max === 0) return String(count);
  const text = `${count}/${max}`;
  return count >= max ? colors.yellow(text) : text;
}

/** The same in words. */
const usedText = (count: number, max: number): string => (max === 0 ? `${count}, no limit` : `${count} of ${max}`);

/** How many times the share of a swarm that nobody has said anything of. */
const weightText = ({ weight }: SwarmLimits): string => `${(weight || 1000) / 1000}x`;

function rateText({ submitsPerSecond, submitBurst }: SwarmLimits): string {
  if (submitsPerSecond === 0) return '-';
  return `${submitsPerSecond}/s${submitBurst > 0 ? `, ${submitBurst} at once` : ''}`;
}

export const LIMITS: Kind<LimitsAndUsage> = {
  name: 'limit',
  plural: 'limits',
  aliases: ['quota', 'quotas', 'swarmlimits'],
  what: 'what swarms may use of the pool, and what they use',
  service: 'pool',
  none: 'no swarms are registered',
  filters: ['swarm'],
  columns: [
    { title: 'SWARM', of: ({ swarm }) => swarm },
    { title: 'RUNNING', of: ({ usage, maxRunning }) => used(usage.running, maxRunning) },
    { title: 'QUEUED', of: ({ usage, maxQueued }) => used(usage.queued, maxQueued) },
    { title: 'BORROWED', of: ({ usage, maxLeases }) => used(usage.leases, maxLeases) },
    { title: 'REQUESTS', of: ({ usage, maxRequests }) => used(usage.requests, maxRequests) },
    { title: 'WEIGHT', of: weightText },
    { title: 'SUBMITS', of: rateText },
    { title: 'VERSION', of: ({ version }) => version },
  ],
  nameOf: ({ swarm }) => swarm,
  list: (hive, { swarm }) => ofEachSwarm(hive, swarm, (name) => limitsOf(hive, name)),
  get: limitsOf,
  details: (limits) =>
    facts([
      ['swarm', limits.swarm],
      ['running tasks', usedText(limits.usage.running, limits.maxRunning)],
      ['waiting tasks', usedText(limits.usage.queued, limits.maxQueued)],
      ['borrowed agents', usedText(limits.usage.leases, limits.maxLeases)],
      ['waiting requests', usedText(limits.usage.requests, limits.maxRequests)],
      ['weight', `${weightText(limits)} the usual share of others' agents`],
      ['submits', limits.submitsPerSecond === 0 ? 'no limit' : rateText(limits)],
      ['version', limits.version],
      ['set', limits.setAt ? `${ago(limits.setAt)} by ${limits.setBy}` : 'never'],
    ]),
  swarmsOf: ({ swarm }) => [swarm],
  touched: (event) => {
    const limits: unknown = event.type === 'limits.set' ? event.data?.limits : undefined;
    return limits ? [(limits as SwarmLimits).swarm] : [];
  },
  remove: {
    means: 'the swarm may use as much as any other from then on',
    run: async (hive, swarm) => {
      await hive.pool.setSwarmLimits({ limits: { ...NO_LIMITS, swarm } });
      return `swarm ${swarm} has no limits of its own`;
    },
  },
};

const NO_LIMITS: Omit<SwarmLimits, 'swarm'> = {
  ...{ weight: 0, maxRunning: 0, maxQueued: 0, maxLeases: 0, maxRequests: 0, submitsPerSecond: 0, submitBurst: 0 },
  ...{ version: '0', setBy: '' },
};
