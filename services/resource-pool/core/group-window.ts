import type { AdaptiveRule, GroupSpec } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { GroupRow, WindowRow } from './group-rows.ts';
import type { AttemptRow } from './rows.ts';

/**
 * How many tasks of an adaptive group may be in hand: a congestion window, as TCP has one.
 *
 * - It grows by one for each round of successes and halves after a failure: additive increase, multiplicative decrease
 *   (Chiu and Jain 1989, "Analysis of the increase and decrease algorithms"; Jacobson 1988, "Congestion avoidance and
 *   control"), the only simple rule by which those who share something end up with fair shares.
 * - Trouble shows in latency before it shows in failures: when tasks take longer of late than the tolerance times their
 *   long-term mean, it shrinks by a tenth (the condition of Netflix's concurrency-limits, Gradient2).
 * - One cut answers for everything that was given out before it, else one bad moment would cut it once for each task.
 * - It grows only while it is used up (RFC 7661), else a group that has little to do would have any window.
 *
 * A failure of the work is trouble, and so is an overrun time limit. Not: a task that is bad for good, an agent that is
 * lost. All numbers are integers, thousandths of a task.
 */
const ONE = 1000;
const MAX = 1000 * ONE;
/** A running mean forgets by 1/8 of late, by 1/64 in the long run. */
const SHORT = 8;
const LONG = 64;
/** Attempts before which a mean says nothing. */
const MIN_SAMPLES = 8;

const DEFAULTS: AdaptiveRule = { initial: 2, min: 1, tolerancePercent: 200 };

export const openWindow = ({ adaptive, maxConcurrency }: GroupSpec): WindowRow => ({
  size: within((adaptive?.initial || DEFAULTS.initial) * ONE, adaptive, maxConcurrency),
  cutAt: 0,
  longMs: 0,
  shortMs: 0,
  samples: 0,
});

/** The group's window after an attempt of one of its tasks; the same object when nothing changed. */
export function adapted(
  { spec, window = openWindow(spec) }: Pick<GroupRow, 'spec' | 'window'>,
  { assignedAt, startedAt }: Pick<AttemptRow, 'assignedAt' | 'startedAt'>,
  outcome: Outcome,
  inHand: number,
  now: number,
): WindowRow {
  const { adaptive, maxConcurrency } = spec;
  const isNews = assignedAt >= window.cutAt;
  const cut = (size: number): WindowRow => ({ ...window, cutAt: now, size: within(size, adaptive, maxConcurrency) });
  if (outcome === 'OUTCOME_FAILED' || outcome === 'OUTCOME_TIMED_OUT') return isNews ? cut(window.size / 2) : window;
  if (outcome !== 'OUTCOME_SUCCEEDED') return window;
  const tookMs = Math.max(1, now - (startedAt || assignedAt));
  const samples = window.samples + 1;
  const shortMs = mean(window.shortMs, tookMs, Math.min(samples, SHORT));
  const longMs = mean(window.longMs, tookMs, Math.min(samples, LONG));
  const measured = { samples: Math.min(samples, LONG), shortMs, longMs };
  const tolerance = adaptive?.tolerancePercent || DEFAULTS.tolerancePercent;
  const isSlow = samples >= MIN_SAMPLES && shortMs * 100 > longMs * tolerance;
  if (isSlow) return { ...(isNews ? cut((window.size * 9) / 10) : window), ...measured };
  const isUsed = (inHand + 1) * ONE >= window.size;
  const size = isUsed ? within(window.size + (ONE * ONE) / window.size, adaptive, maxConcurrency) : window.size;
  return { ...window, ...measured, size };
}

/** In thousandths of a millisecond it would creep for ever; whole milliseconds, rounded, are enough. */
const mean = (before: number, value: number, weight: number): number =>
  Math.round((before * (weight - 1) + value) / weight);

function within(size: number, rule: AdaptiveRule | undefined, maxConcurrency: number): number {
  const most = maxConcurrency === 0 ? MAX : maxConcurrency * ONE;
  const least = Math.min(most, (rule?.min || DEFAULTS.min) * ONE);
  return Math.trunc(Math.min(most, Math.max(least, size)));
}

/** How many tasks may be in hand; undefined = no limit. */
export function concurrencyOf({ spec, window }: Pick<GroupRow, 'spec' | 'window'>): number | undefined {
  if (spec.strategy === 'GROUP_STRATEGY_SEQUENTIAL') return 1;
  if (window) return Math.trunc(window.size / ONE);
  return spec.maxConcurrency === 0 ? undefined : spec.maxConcurrency;
}
