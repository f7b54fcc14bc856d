import { HiveError, invalid, type Violation } from '../kernel/errors.ts';
import { jsonOf } from '../protocol/json-text.ts';

/**
 * A request as JSON. Numbers that JSON has no word for become null there, which stands for the default: a limit that is
 * NaN would be none. Throws INVALID_ARGUMENT with their places, and for what is no JSON at all.
 */
export function requestJson(request: unknown): string {
  let json: string;
  try {
    json = jsonOf(request);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HiveError('INVALID_ARGUMENT', `the request cannot be written as JSON: ${why}`, { cause });
  }
  // Seldom there, and quick to look for: most requests are not walked.
  if (!json.includes('null')) return json;
  const faults = [...notFinite(request, '')];
  if (faults.length > 0) throw invalid(faults);
  return json;
}

function* notFinite(value: unknown, at: string): Generator<Violation> {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    yield { field: at, value: String(value), rule: 'must be a number that is finite' };
  } else if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* notFinite(item, `${at}[${i}]`);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) yield* notFinite(item, at === '' ? key : `${at}.${key}`);
  }
}
