import { type HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';

const FIRST_MS = 20;
const MAX_MS = 500;

/** Before the `tries`-th repeat: doubling from 20 to 500 ms, between half and all of it, but not before the server says. */
export function backoffMs(tries: number, error: HiveError, rng: Rng): number {
  const ceiling = Math.min(MAX_MS, FIRST_MS * 2 ** (tries - 1));
  return Math.max(error.retryAfterMs ?? 0, ceiling * (0.5 + rng() / 2));
}

/** Faults that pass within a moment or not at all: nobody is there, or somebody else, or a swarm's registration has not got around. */
const BRIEF: ReadonlySet<string | undefined> = new Set(['NO_RESPONDERS', 'NOT_GRPC', 'SWARM_UNKNOWN']);

export const isBrief = ({ reason }: HiveError): boolean => BRIEF.has(reason);

export interface Patience {
  /** How long to try again at all, in milliseconds since the call began. */
  readonly timeoutMs: number;
  /** How long for brief faults. */
  readonly briefMs: number;
}

/** Nothing of it was begun, for want of a place that is free again within milliseconds. */
const isOverloaded = ({ code, reason }: HiveError): boolean => code === 'RESOURCE_EXHAUSTED' && reason === 'OVERLOADED';

/**
 * Too much was asked: that is for the caller to know, at once and with the hint when to ask again. A repeat of ours would
 * only add to what is too much.
 */
const isForCaller = (error: HiveError): boolean => error.code === 'RESOURCE_EXHAUSTED' && !isOverloaded(error);

/**
 * Does this refusal leave open what becomes of the call? That there is no room is said of one message and is not kept: of a
 * call that was sent more than once, another one may still be taken. So it is asked again, under the same request id, which
 * gets the first answer if there is one.
 */
export const leavesOpen = (error: HiveError, wasRepeated: boolean): boolean =>
  wasRepeated && isForWantOfRoom(error) && !isOverloaded(error);

/** May a call that has taken `elapsedMs` be tried again after `delayMs`? */
export function mayRetry(
  error: HiveError,
  elapsedMs: number,
  delayMs: number,
  patience: Patience,
  wasRepeated = false,
): boolean {
  const limitMs = isBrief(error) ? Math.min(patience.briefMs, patience.timeoutMs) : patience.timeoutMs;
  const isSettled = isForCaller(error) && !leavesOpen(error, wasRepeated);
  return error.retryable && !isSettled && elapsedMs + delayMs < limitMs;
}
