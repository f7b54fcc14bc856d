import { HiveError } from '../kernel/errors.ts';
import { activeTraceparent } from '../rpc/observe.ts';
import type { Assignment } from '../wire/hivebus/pool/v1/pool.ts';
import type { ConfirmedAt } from './confirmations.ts';
import { type Dependency, dependenciesOf } from './dependencies.ts';
import type { Hive } from './hive.ts';
import type { AgentTask } from './task.ts';
import type { Settled } from './together.ts';

/** What there was before an attempt. */
export interface Before {
  /** The task's last checkpoint; undefined = there is none. */
  readonly checkpoint?: unknown;
  readonly dependencies: readonly Dependency[];
}

export const NOTHING_BEFORE: Before = { dependencies: [] };

export const startsAnew = ({ checkpoint, dependencies }: ConfirmedAt): boolean =>
  checkpoint === 0 && dependencies.length === 0;

/** What the attempt before has left, and how the tasks that it depends on have ended. */
export async function beforeOf(hive: Hive, settled: Settled, confirmed: ConfirmedAt): Promise<Before> {
  const { checkpoint: number, dependencies: ids, assignment, revision } = confirmed;
  const asked = { task: assignment.task, minRevision: revision };
  const last = number === 0 ? undefined : settled(() => hive.pool.getCheckpoint(asked));
  const get = (id: string) => settled(() => hive.pool.getTask({ id, minRevision: revision }));
  const [kept, dependencies] = await Promise.all([last, dependenciesOf(get, ids)]);
  return { checkpoint: kept?.checkpoint?.data, dependencies };
}

/** The task as its handler is given it; `agent` as `swarm/name`. */
export function taskGiven(
  assignment: Assignment,
  { checkpoint, dependencies }: Before,
  federation: string,
  agent: string,
): AgentTask {
  const { task: id, attempt, spec, correlationId, hops } = assignment;
  const traceparent = activeTraceparent() || assignment.traceparent;
  if (!spec) throw new HiveError('INTERNAL', `the assignment of task ${id} says not what to do`);
  const task = { id, attempt, federation, agent, traceparent, correlationId, hops, ...spec };
  const resuming = checkpoint === undefined ? task : { checkpoint, ...task };
  return dependencies.length === 0 ? resuming : { dependencies, ...resuming };
}
