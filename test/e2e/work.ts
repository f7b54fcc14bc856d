import type { Submission } from '../../libs/sdk/submit-all.ts';
import type { Outcome, TaskState } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** What a task asks of a worker process. */
export interface Work {
  /**
   * plain, claim: succeeds; twice: does, and is reported three times with two results; flaky: fails at first; hopeless:
   * fails always; terminal: for good; doomed: is cancelled, sooner or later.
   */
  readonly how: 'plain' | 'claim' | 'twice' | 'flaky' | 'hopeless' | 'terminal' | 'doomed';
  /** How long it takes, in milliseconds. */
  readonly ms: number;
}

/** Of twenty tasks; the others are plain. */
const MIX: Readonly<Record<number, Work['how']>> = {
  1: 'claim',
  3: 'flaky',
  5: 'claim',
  7: 'terminal',
  9: 'claim',
  11: 'hopeless',
  13: 'twice',
  15: 'claim',
  17: 'doomed',
  19: 'claim',
};
export const howOf = (i: number): Work['how'] => MIX[i % 20] ?? 'plain';

const ENDS: Readonly<Record<Work['how'], readonly TaskState[]>> = {
  plain: ['TASK_STATE_SUCCEEDED'],
  claim: ['TASK_STATE_SUCCEEDED'],
  twice: ['TASK_STATE_SUCCEEDED'],
  flaky: ['TASK_STATE_SUCCEEDED'],
  hopeless: ['TASK_STATE_FAILED'],
  terminal: ['TASK_STATE_FAILED'],
  doomed: ['TASK_STATE_CANCELLED', 'TASK_STATE_SUCCEEDED'],
};
/** How such a task may end. */
export const endsOf = (how: Work['how']): readonly TaskState[] => ENDS[how];

/** What an attempt comes to, in its report. */
export function endingOf({ how }: Work, attempt: number): { outcome: Outcome; reason: string; result?: object } {
  if (how === 'terminal') return { outcome: 'OUTCOME_TERMINAL', reason: 'it cannot be done' };
  if (how === 'hopeless' || (how === 'flaky' && attempt === 1))
    return { outcome: 'OUTCOME_FAILED', reason: 'not this time' };
  return { outcome: 'OUTCOME_SUCCEEDED', reason: '', result: { how, said: 'first' } };
}

/** A task of swarm `code`. Attempts that are lost count, so those that shall succeed may have many. */
export function taskOf(how: Work['how'], id: string, type: string, ms: number): Submission {
  const payload: Work = { how, ms };
  const maxAttempts = how === 'hopeless' ? 3 : 50;
  const continuity = { resume: false, claim: how === 'claim' };
  return { id, spec: { swarm: 'code', type, payload, maxAttempts, ...(continuity.claim && { continuity }) } };
}
