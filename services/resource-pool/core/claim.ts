import type { TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';

/**
 * Claims: two attempts at a task never run at the same time, as long as agents obey.
 *
 * The idea: an agent starts a task with a claim only when the pool has committed its confirmation, has it from then on
 * for a term, counted from the sending of its request, and confirms again to renew it. A renewal is decided by the leader,
 * in the journal's order, and changes nothing: so whatever renewal was granted, was granted before the pool gave the
 * attempt up, and is over one term after that. The next attempt waits for it, unless the agent has said itself that the
 * last one has ended. The alternative, a row for each renewal, would write them all to save a part of one wait.
 */
export const isClaimed = ({ spec }: TaskRow): boolean => spec.continuity?.claim === true;

/** For how long after the end of a task's current attempt, which its agent has reported or not, that may still hold the claim, in ms. */
export function claimLeft(
  task: TaskRow,
  { reported }: { readonly reported?: boolean },
  settings: PoolSettings,
): number {
  const wasStarted = (task.attempts.at(-1)?.startedAt ?? 0) > 0;
  return isClaimed(task) && wasStarted && !reported ? settings.claimMs : 0;
}

/** Machine time at which nobody holds the claim of a waiting task any more: clocks of two leaders are not compared. */
export function claimOver({ attempts }: TaskRow, epochStart: number): number {
  const last = attempts.at(-1);
  return last?.claimMs === undefined ? 0 : Math.max(last.endedAt, epochStart) + last.claimMs;
}
