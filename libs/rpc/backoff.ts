import type { HiveError } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';

const FIRST_MS = 20;
const MAX_MS = 500;

/** Before the `tries`-th repeat: doubling from 20 to 500 ms, between half and all of it, but not before the server says. */
export function backoffMs(tries: number, error: HiveError, rng: Rng): number {
  const ceiling = Math.min(MAX_MS, FIRST_MS * 2 ** (tries - 1));
  return Math.max(error.retryAfterMs ?? 0, ceiling * (0.5 + rng() / 2));
}

/** Faults that pass within a moment or not at all: nobody is there, or a swarm's registration has not got around. */
const BRIEF: ReadonlySet<string | undefined> = new Set(['NO_RESPONDERS', 'SWARM_UNKNOWN']);

export interface Patience {
  /** How long to try again at all, in milliseconds since the call began. */
  readonly timeoutMs: number;
  /** How long for brief faults. */
  readonly briefMs: number;
}

/**
 * Too much was asked: that is for the caller to know, at once and with the hint when to ask again. A repeat of ours would
 * have the same request id, to which a journal gives the same refusal, and would only add to what is too much. But what a
 * server did not even begin, for want of a place, is free again within milliseconds.
 */
const isForCaller = ({ code, reason }: HiveError): boolean => code === 'RESOURCE_EXHAUSTED' && reason !== 'OVERLOADED';

/** May a call that has taken `elapsedMs` be tried again after `delayMs`? */
export function mayRetry(error: HiveError, elapsedMs: number, delayMs: number, patience: Patience): boolean {
  const limitMs = BRIEF.has(error.reason) ? Math.min(patience.briefMs, patience.timeoutMs) : patience.timeoutMs;
  return error.retryable && !isForCaller(error) && elapsedMs + delayMs < limitMs;
}
