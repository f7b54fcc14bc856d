import { notPermitted, permissionViolation } from '../../libs/bus/permission.ts';
import { HiveError } from '../../libs/kernel/errors.ts';

/** unknown: it could not be looked at; nothing is said to be wrong. */
export type Status = 'ok' | 'unknown' | 'warning' | 'fault';

/** What one look at one thing has shown. */
export interface Finding {
  /** What was looked at, e.g. `stream HIVE_main_pool`. */
  readonly check: string;
  readonly status: Status;
  readonly found: string;
  /** How to mend it; empty when there is nothing to mend. */
  readonly mend: string;
}

export const ok = (check: string, found: string): Finding => ({ check, status: 'ok', found, mend: '' });

export const unknown = (check: string, found: string, mend: string): Finding => ({
  ...{ check, status: 'unknown', found, mend },
});

export const warning = (check: string, found: string, mend: string): Finding => ({
  ...{ check, status: 'warning', found, mend },
});

export const broken = (check: string, found: string, mend: string): Finding => ({
  ...{ check, status: 'fault', found, mend },
});

/** A look that fails is a finding of its own, so that the others are still made. */
export async function look(
  check: string,
  mend: string,
  at: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await at();
  } catch (error) {
    const violation = permissionViolation(error);
    if (violation) return [broken(check, notPermitted(violation).message, '')];
    return [broken(check, HiveError.from(error).message, mend)];
  }
}

/** Bytes for people: `1.5 GiB`. */
export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${Number((bytes / 2 ** (10 * power)).toFixed(1))} ${units[power]}`;
}

/** How full something is; a limit that is not positive is none. */
export function fullness(check: string, used: number, limit: number, what: string, mend: string): Finding {
  if (limit <= 0) return ok(check, `${bytesText(used)} ${what}, without a limit`);
  const found = `${bytesText(used)} of ${bytesText(limit)} ${what}`;
  if (used > 0.95 * limit) return broken(check, found, mend);
  return used > 0.8 * limit ? warning(check, found, mend) : ok(check, found);
}
