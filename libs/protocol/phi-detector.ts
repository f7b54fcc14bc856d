/**
 * A phi-accrual failure detector: N. Hayashibara, X. Défago, R. Yared, T. Katayama, "The phi accrual failure detector",
 * SRDS 2004.
 *
 * The idea: do not ask "has it been silent for 5 seconds?" but "how surprising is this silence for somebody who beats
 * as this one does?". From the intervals between its heartbeats we know their mean and spread, hence the chance
 * P(later) that a beat comes even later than now; suspicion is
 *
 *     phi(t) = -log10 P(later than t),      t = time since the last beat, less the acceptable pause
 *
 * Phi 1 is wrong once in 10 times, phi 3 once in 1000, phi 8 once in 100 million, if the intervals are normally
 * distributed. The normal distribution's tail is approximated by the logistic function of
 * y (1.5976 + 0.070566 y²), y = (t - mean) / deviation (Abramowitz and Stegun 26.2; Akka and Cassandra do the same).
 *
 *     phi
 *      8 ┤                        ╭─ unreachable
 *      3 ┤                     ╭──╯  suspect
 *      0 ┼─────────────────────╯
 *        0        mean        mean + pause       silence
 *
 * The paper keeps a window of intervals (64 of them cost 513 B a member). We keep their moments only, exponentially
 * weighted (D. West 1979 for the running form, T. Finch 2009 for the weighted one): four numbers, the same for one
 * beat as for a million. Refused: a fixed timeout, which is wrong for either the fast or the slow.
 *
 * Time is passed in: milliseconds of a monotonic clock. A wall clock that jumps would kill everybody at once.
 */
export interface PhiOptions {
  /**
   * The interval, in milliseconds, that is assumed until enough beats came to know better. Deviation at first is a
   * quarter of it. Larger: a member that dies right after its first beats is noticed later; smaller: slow ones are
   * suspected at the start.
   */
  readonly expectedIntervalMs: number;
  /**
   * The deviation, in milliseconds, is never taken for less: very regular beats would otherwise make a scheduling
   * hiccup look like death. Detection of a regular member at phi 8 comes 5.2 times this after mean + pause.
   */
  readonly minStdDeviationMs: number;
  /**
   * A silence on top of the mean that is no reason for doubt, in milliseconds: garbage collection, a reconnect, lost
   * beats. Added to every detection time as it is.
   */
  readonly acceptablePauseMs: number;
  /**
   * About how many beats the estimate remembers: each new interval weighs 1/n, and 1/memoryBeats from then on. More is
   * steadier, fewer follows a changed rhythm sooner.
   */
  readonly memoryBeats: number;
  /** From this phi on a member is suspect: it is still there, but is not preferred. */
  readonly suspectPhi: number;
  /** From this phi on it is unreachable. Not below suspectPhi. */
  readonly unreachablePhi: number;
}

/**
 * For members that beat every second on a local network: with regular beats suspect after 4.5 s of silence,
 * unreachable after 5.6 s (1 s + 2 s pause + 3.1 and 5.2 deviations of 0.5 s).
 */
export const DEFAULT_PHI_OPTIONS: PhiOptions = {
  expectedIntervalMs: 1000,
  minStdDeviationMs: 500,
  acceptablePauseMs: 2000,
  memoryBeats: 64,
  suspectPhi: 3,
  unreachablePhi: 8,
};

export type Verdict = 'healthy' | 'suspect' | 'unreachable';

/** Phi is cut here: beyond, it says no more than that there is no hope. */
const MAX_PHI = 100;

/** The detector of one member. */
export class PhiDetector {
  readonly #options: PhiOptions;
  #last: number;
  #mean: number;
  #variance: number;
  #beats = 0;

  /** Begins as if a beat had come at `startMs`: nobody is late before he could have beaten. */
  constructor(startMs: number, options: PhiOptions = DEFAULT_PHI_OPTIONS) {
    this.#options = options;
    this.#last = startMs;
    this.#mean = options.expectedIntervalMs;
    this.#variance = (options.expectedIntervalMs / 4) ** 2;
  }

  /** When the last beat came, in the caller's monotonic milliseconds. */
  get lastMs(): number {
    return this.#last;
  }

  /** A heartbeat has come. */
  beat(nowMs: number): void {
    const interval = nowMs - this.#last;
    if (interval < 0) return; // out of order: known already
    this.#last = nowMs;
    this.#learn(Math.min(interval, this.#longestInterval()));
  }

  /**
   * How surprising the silence is: 0 (not at all) to 100. `notBeforeMs` is when the observer itself began, or came
   * back from a pause of its own: silence before it is no evidence.
   */
  phi(nowMs: number, notBeforeMs = 0): number {
    const silence = nowMs - Math.max(this.#last, notBeforeMs) - this.#options.acceptablePauseMs;
    if (silence <= 0) return 0;
    const y = (silence - this.#mean) / this.#deviation();
    const exponent = y * (1.5976 + 0.070566 * y * y);
    const phi = (exponent > 700 ? exponent : Math.log1p(Math.exp(exponent))) / Math.LN10;
    return Math.min(phi, MAX_PHI);
  }

  verdict(nowMs: number, notBeforeMs = 0): Verdict {
    const phi = this.phi(nowMs, notBeforeMs);
    if (phi < this.#options.suspectPhi) return 'healthy';
    return phi < this.#options.unreachablePhi ? 'suspect' : 'unreachable';
  }

  /**
   * An outage is not an interval between beats, so what is learned is cut at what was still acceptable; but it is
   * learned, so that a member that beats more slowly from now on is understood after some beats.
   */
  #longestInterval(): number {
    return this.#mean + this.#options.acceptablePauseMs + 4 * this.#deviation();
  }

  #learn(interval: number): void {
    this.#beats = Math.min(this.#beats + 1, this.#options.memoryBeats);
    // The assumed interval counts as one beat, hence the 1: the first real one does not wipe it out.
    const weight = 1 / (this.#beats + 1);
    const difference = interval - this.#mean;
    const step = weight * difference;
    this.#mean += step;
    this.#variance = (1 - weight) * (this.#variance + difference * step);
  }

  #deviation(): number {
    return Math.max(Math.sqrt(this.#variance), this.#options.minStdDeviationMs);
  }
}
