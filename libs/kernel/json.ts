/** Are two JSON values the same? The order of an object's keys does not count, keys with undefined are not there. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) return Array.isArray(a) && Array.isArray(b) && sameItems(a, b);
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  let difference = 0; // of the numbers of keys
  for (const key in left) {
    if (left[key] === undefined) continue;
    if (!Object.hasOwn(right, key) || !sameJson(left[key], right[key])) return false;
    difference++;
  }
  for (const key in right) if (right[key] !== undefined) difference--;
  return difference === 0;
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!sameJson(a[i], b[i])) return false;
  return true;
}

/** What is kept where `after` comes in place of `before`: the old value while they are the same, which is kept anyway. */
export const keptJson = <T>(before: unknown, after: T): T =>
  before !== undefined && sameJson(before, after) ? (before as T) : after;
