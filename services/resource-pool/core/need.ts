import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';

/** What a task or a lease demands of an agent, beyond its type. */
export interface Need {
  readonly capabilities: readonly string[];
  readonly script: boolean;
}

/** What agents that no demand can tell apart have in common. */
export interface Offer {
  readonly capabilities: ReadonlySet<string>;
  readonly allowScripts: boolean;
}

export function meets(offer: Offer, need: Need): boolean {
  if (need.script && !offer.allowScripts) return false;
  for (const capability of need.capabilities) {
    if (!offer.capabilities.has(capability)) return false;
  }
  return true;
}

export const needOf = (spec: Pick<TaskSpec, 'capabilities' | 'script'>): Need => ({
  capabilities: spec.capabilities,
  script: spec.script !== '',
});

/** Equal for needs that any agent meets both or neither of. */
export function needKey(need: Need): string {
  const { capabilities, script } = need;
  if (capabilities.length === 0) return script ? '!' : '';
  return `${script ? '!' : ''}${capabilities.length === 1 ? capabilities[0] : [...capabilities].sort().join()}`;
}

/** Where supply and demand meet: agents that serve a swarm, and its tasks, by type. */
export const poolKey = (swarm: string, type: string): string => `${swarm}/${type}`;
