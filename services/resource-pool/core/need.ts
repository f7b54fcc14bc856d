import { HOST_LABEL, KEEPS_VOLUMES } from '../../../libs/protocol/volumes.ts';
import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';

export type Labels = Readonly<Record<string, string>>;

/** What a task or a lease demands of an agent, beyond its type. */
export interface Need {
  readonly capabilities: readonly string[];
  readonly labels: Labels;
  readonly script: boolean;
}

/** A demand, and what would be liked: which of the agents that meet it is the best depends on this. */
export interface Wish {
  /** Who asks. */
  readonly swarm: string;
  readonly need: Need;
  /** Where it should be; empty = anywhere. */
  readonly region: string;
  readonly specialisations: readonly string[];
}

type Names = Pick<ReadonlySet<string>, 'has' | 'size'>;

/** What agents that no wish can tell apart have in common. */
export interface Offer {
  readonly home: string;
  readonly region: string;
  readonly capabilities: Names;
  readonly labels: Labels;
  readonly specialisations: Names;
  readonly allowScripts: boolean;
}

export const NO_LABELS: Labels = Object.freeze({});
export const NONE: readonly string[] = Object.freeze([]);

export function meets(offer: Offer, need: Need): boolean {
  if (need.script && !offer.allowScripts) return false;
  for (const capability of need.capabilities) {
    if (!offer.capabilities.has(capability)) return false;
  }
  if (need.labels === NO_LABELS) return true;
  for (const key in need.labels) {
    if (offer.labels[key] !== need.labels[key]) return false;
  }
  return true;
}

/** The empty labels and lists are shared, since most tasks and agents have no others. */
export const sparing = (labels: Labels): Labels => (Object.keys(labels).length === 0 ? NO_LABELS : labels);

export const wishOf = ({ swarm, capabilities, script = '', selector }: Wanted): Wish => ({
  swarm,
  need: { capabilities, labels: selector ? sparing(selector.labels) : NO_LABELS, script: script !== '' },
  region: selector?.region ?? '',
  specialisations: selector?.specialisations ?? NONE,
});

/**
 * What a task that waits demands: one with volumes an agent that keeps such, and, once they are somewhere, there. Hosts are
 * labels, so agents of one host are a class by themselves, but only where agents keep volumes.
 */
export function wishOfTask(task: Housed): Wish {
  const wish = wishOf(task.spec);
  if (!task.spec.volumes) return wish;
  return { ...wish, need: { ...wish.need, labels: { ...wish.need.labels, ...housing(task) } } };
}

/** A task, and the host that its volumes are on; undefined = nowhere yet. */
type Housed = { readonly spec: TaskSpec; readonly host?: string | undefined };

/** What the agents must have that a task with volumes is given to. */
export const housing = ({ host }: Housed): Labels =>
  host === undefined ? { [KEEPS_VOLUMES]: 'yes' } : { [KEEPS_VOLUMES]: 'yes', [HOST_LABEL]: host };

/** What a task and a request for an agent say of the agent in common. */
export type Wanted = Pick<TaskSpec, 'swarm' | 'capabilities' | 'selector'> & Partial<Pick<TaskSpec, 'script'>>;

/** Equal for needs that any agent meets both or neither of. */
export function needKey({ capabilities, labels, script }: Need): string {
  const skills = capabilities.length > 1 ? [...capabilities].sort().join() : (capabilities[0] ?? '');
  return `${script ? '!' : ''}${skills}${labels === NO_LABELS ? '' : `;${labelsKey(labels)}`}`;
}

/** Equal for equal labels. Keys are names, values anything, hence the quotes. */
export const labelsKey = (labels: Labels): string =>
  Object.keys(labels)
    .sort()
    .map((key) => `${key}=${JSON.stringify(labels[key])}`)
    .join();

/** Where supply and demand meet: agents that serve a swarm, and its tasks, by type. */
export const poolKey = (swarm: string, type: string): string => `${swarm}/${type}`;
