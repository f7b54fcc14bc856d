import type { Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { TaskRow } from './rows.ts';

/** The longest wait as a multiple of the first, unless the task says otherwise. */
const DEFAULT_GROWTH = 64;

/**
 * How long a task waits before it is tried again, in milliseconds: exponential, with jitter. The jitter follows from the
 * task's id and its failures, so tasks that failed together part, and a decision stays what it is at every replay.
 */
export function retryDelay({ id, spec, attempts }: Pick<TaskRow, 'id' | 'spec' | 'attempts'>, endsAs: Outcome): number {
  const { backoffMs = 0, maxBackoffMs = 0 } = spec.retry ?? {};
  if (backoffMs === 0 || !isFailure(endsAs)) return 0;
  const failures = 1 + attempts.slice(0, -1).filter(({ outcome }) => isFailure(outcome)).length;
  const most = maxBackoffMs || backoffMs * DEFAULT_GROWTH;
  const whole = Math.min(backoffMs * 2 ** Math.min(failures - 1, 40), most);
  return Math.ceil(whole * (1 - fraction(`${id}.${failures}`) / 2));
}

/** Did the work itself go wrong? */
const isFailure = (outcome: Outcome): boolean => outcome === 'OUTCOME_FAILED' || outcome === 'OUTCOME_TIMED_OUT';

/** A number in [0, 1) that follows from a text: 32-bit FNV-1a (Fowler, Noll, Vo), its bits mixed once more. */
function fraction(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}
