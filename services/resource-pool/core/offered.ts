import { merged } from '../../../libs/kernel/merged.ts';
import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { housing } from './need.ts';
import { type Asks, Requests } from './requests.ts';
import { isDelayed, type LeaseRow, queuedSince, type TaskRow } from './rows.ts';
import { DEFAULT_LEASE_TERM_MS } from './settings.ts';

/** What idle agents of other swarms may take, and what they have taken: see stealing.ts. */
export class Stealing {
  /** How long a task waits before it is offered, in milliseconds; 0 = for ever. */
  afterMs = 0;
  /** Tasks that are offered. Derived from the rows of tasks. */
  readonly tasks = new Requests<Asks>();
  /** Active leases by which agents have taken work, by lender. Derived from the rows of leases. */
  readonly #leases = new Map<string, Set<string>>();

  /** How many swarms have such agents away. */
  get leases(): number {
    return this.#leases.size;
  }

  leasesOf(lender: string): ReadonlySet<string> {
    return this.#leases.get(lender) ?? NO_LEASES;
  }

  /** A lease's row came or changed. */
  put({ id, lender, task, state }: LeaseRow): void {
    if (!task) return;
    const own = this.#leases.get(lender);
    if (state !== 'LEASE_STATE_ACTIVE') {
      own?.delete(id);
      if (own?.size === 0) this.#leases.delete(lender);
    } else if (own) own.add(id);
    else this.#leases.set(lender, new Set([id]));
  }
}

const NO_LEASES: ReadonlySet<string> = new Set();

/** Is a task's next attempt offered? An offer is for one. */
const hasOffer = ({ offered, attempts }: Pick<TaskRow, 'offered' | 'attempts'>): boolean =>
  offered !== undefined && offered.attempt === attempts.length + 1;

/** May agents of other swarms take it now? */
export const isOffered = (task: TaskRow): boolean =>
  hasOffer(task) && task.state === 'TASK_STATE_QUEUED' && !isDelayed(task);

/** The swarm whose agents alone may have a task's next attempt; empty = it is offered to all, or to none. */
export const offeredTo = (task: Pick<TaskRow, 'offered' | 'attempts'>): string =>
  hasOffer(task) ? (task.offered?.to ?? '') : '';

/** What a task that waits, or will, offers, when tasks wait so long before they are offered; undefined = nothing. */
export function openOffer(task: Offered & Pick<TaskRow, 'offered' | 'attempts'>, afterMs: number): Asks | undefined {
  const to = offeredTo(task);
  return hasOffer(task) && (afterMs > 0 || to !== '') ? asksOf(task, to) : undefined;
}

/** When a waiting task is offered; undefined = never, or it is already. */
export function offerDue(task: TaskRow, epochStart: number, afterMs: number): number | undefined {
  if (afterMs === 0 || task.state !== 'TASK_STATE_QUEUED' || isDelayed(task)) return undefined;
  if (isOffered(task) && offeredTo(task) === '') return undefined;
  // Votes go to agents that have none of their group, which whoever lends does not know.
  if (task.spec.ties?.vote) return undefined;
  return Math.max(queuedSince(task), epochStart) + afterMs;
}

/** A waiting task, as a request for an agent of another swarm: of `lender`, or of any. */
export const asksOf = (task: Offered, lender: string): Asks => ({
  id: task.id,
  queuedAt: task.submittedAt,
  order: task.order,
  wish: { lender, termMs: DEFAULT_LEASE_TERM_MS, ...merged(task.spec, housed(task)) },
});

type Offered = Pick<TaskRow, 'id' | 'spec' | 'submittedAt' | 'order' | 'host'>;

/** The selector of one with volumes asks for agents where these can be. */
function housed(task: Offered): Partial<Pick<TaskSpec, 'selector'>> {
  if (!task.spec.volumes) return {};
  const { labels = {}, specialisations = [], region = '' } = task.spec.selector ?? {};
  return { selector: { labels: { ...labels, ...housing(task) }, specialisations, region } };
}
