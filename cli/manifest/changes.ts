import { sameJson } from '../../libs/kernel/json.ts';
import { colors } from '../output.ts';

/** One part of what is wanted that is not as it is stored. Undefined = not there. */
export interface Change {
  /** E.g. `spec.autoscaling.maxAgents`. */
  readonly path: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** What would change, part by part. What has its default counts as not there: proto3 knows no difference. */
export function changesBetween(path: string, before: unknown, after: unknown): Change[] {
  const [old, fresh] = [bare(before), bare(after)];
  if (sameJson(old, fresh)) return [];
  if (!isRecord(old ?? {}) || !isRecord(fresh ?? {})) return [change(path, old, fresh)];
  const [left, right] = [(old ?? {}) as Record<string, unknown>, (fresh ?? {}) as Record<string, unknown>];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return names.flatMap((name) => changesBetween(`${path}.${name}`, left[name], right[name]));
}

const change = (path: string, before: unknown, after: unknown): Change => ({
  path,
  ...(before === undefined ? {} : { before }),
  ...(after === undefined ? {} : { after }),
});

const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value without the parts that have their default; undefined when nothing is left. */
function bare(value: unknown): unknown {
  if (value === '' || value === 0 || value === false || value === null) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map((item) => bare(item) ?? item);
  if (!isRecord(value)) return value;
  const parts = Object.entries(value as object)
    .map(([name, part]) => [name, bare(part)] as const)
    .filter(([, part]) => part !== undefined);
  return parts.length === 0 ? undefined : Object.fromEntries(parts);
}

/** `+ path: new`, `- path: old`, `~ path: old → new`, one to a line. */
export const changeLines = (changes: readonly Change[]): string[] =>
  changes.map(({ path, before, after }) => {
    if (before === undefined) return colors.green(`+ ${path}: ${short(after)}`);
    if (after === undefined) return colors.red(`- ${path}: ${short(before)}`);
    return colors.yellow(`~ ${path}: ${short(before)} → ${short(after)}`);
  });

const MAX_SHOWN = 200;

function short(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text;
}
