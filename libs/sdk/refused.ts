import { type Code, HiveError } from '../kernel/errors.ts';
import type { Refusal } from '../wire/hivebus/pool/v1/pool.ts';

/** A refusal of one item as the error that a call of its own would have thrown. */
export function errorOf({ code, faults, reason, retryAfterMs, ...rest }: Refusal): HiveError {
  const json = { ...rest, code: code as Code, violations: faults };
  return HiveError.fromJSON({ ...json, ...(reason && { reason }), ...(retryAfterMs > 0 && { retryAfterMs }) });
}
