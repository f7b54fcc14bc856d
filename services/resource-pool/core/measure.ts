import type { Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { AttemptRow, MeasureRow, NormRow } from './rows.ts';
import { ALWAYS, AVERAGE, PRIOR } from './score.ts';
import type { PoolState } from './state.ts';
import { putMeasure } from './store.ts';

/**
 * What is learnt from the ends of attempts, in `apply`: so it is the same on every replica and at every replay.
 *
 * Means run: the n-th sample counts 1/n until the window is full, and 1/window from then on, so that the past fades.
 * An agent's begin with the prior, which counts as a few samples. A duration is compared with the mean of its type at
 * that moment and never again: the order of two agents only changes when one of them has done something.
 */
const PRIOR_SAMPLES = 3;
const WINDOW = 20;
const NORM_WINDOW = 100;
/** One attempt that hangs must not count for more than so many times the mean, in thousandths. */
const MAX_SLOWNESS = 10 * AVERAGE;

/** Whether an outcome says that the agent does its work well; undefined = it says nothing of that. */
function verdict(outcome: Outcome, attempt: AttemptRow): boolean | undefined {
  if (outcome === 'OUTCOME_SUCCEEDED') return true;
  if (outcome === 'OUTCOME_FAILED' || outcome === 'OUTCOME_TIMED_OUT') return false;
  // What was lost before it began says something of the connection only; a terminal failure is the task's own.
  return outcome === 'OUTCOME_LOST' && attempt.startedAt > 0 ? false : undefined;
}

/** An attempt has ended at `now`. */
export function learn(state: PoolState, attempt: AttemptRow, outcome: Outcome, now: number): void {
  const good = verdict(outcome, attempt);
  const agent = state.agents.get(attempt.agent);
  if (good === undefined || !agent) return;
  const before = state.measures.get(agent.key) ?? PRIOR;
  const success = towards(before.success, good ? ALWAYS : 0, before.samples + PRIOR_SAMPLES, WINDOW);
  const slowness = good
    ? slower(state, agent.type, before, now - (attempt.startedAt || attempt.assignedAt))
    : before.slowness;
  putMeasure(state, agent, { success, slowness, samples: before.samples + 1 });
}

function slower(
  state: PoolState,
  type: string,
  before: Pick<MeasureRow, 'slowness' | 'samples'>,
  tookMs: number,
): number {
  const norm: NormRow = state.norms.get(type) ?? { meanUs: tookMs * 1000, samples: 0 };
  const meanUs = towards(norm.meanUs, tookMs * 1000, norm.samples, NORM_WINDOW);
  state.norms.set(type, { meanUs, samples: norm.samples + 1 });
  // A millisecond more on both sides: times are whole milliseconds, and some tasks take none.
  const relative = Math.trunc(((tookMs * 1000 + 1000) * AVERAGE) / (meanUs + 1000));
  return towards(before.slowness, Math.min(relative, MAX_SLOWNESS), before.samples + PRIOR_SAMPLES, WINDOW);
}

/** A running mean of integers after one sample more. */
const towards = (mean: number, sample: number, samples: number, window: number): number =>
  mean + Math.trunc((sample - mean) / Math.min(samples + 1, window));
