import { invalid, quote, type Violation } from '../kernel/errors.ts';

/** Timers take no more: 24 days, in milliseconds. Beyond it they fire at once. */
export const MAX_TIME_MS = 2 ** 31 - 1;

/** What is wrong with an option that is a time in milliseconds; one that is left out is right. */
export function timeFaults(field: string, value: number | undefined, min = 0): Violation[] {
  if (value === undefined || isTime(value, min)) return [];
  const shown = typeof value === 'number' ? String(value) : quote(value);
  return [{ field, value: shown, rule: `must be a number of milliseconds, ${min} to ${MAX_TIME_MS}` }];
}

/** Throws INVALID_ARGUMENT: no comparison with NaN is true, so a call would never be given up. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs !== undefined && !isTime(timeoutMs, 0)) throw invalid(timeFaults('timeoutMs', timeoutMs));
}

const isTime = (value: unknown, min: number): boolean =>
  typeof value === 'number' && value >= min && value <= MAX_TIME_MS;
