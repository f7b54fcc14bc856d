import { HiveError, type Violation } from '../../libs/kernel/errors.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import { Faults } from '../../libs/rpc/validate.ts';
import { type Document, segments, tell } from './document.ts';
import type { Fault } from './faults.ts';

/**
 * A spec by its form and by its service's own rules, in one go: what has the wrong form is told, and of the rest what makes
 * no sense, so that nobody mends the one only to hear of the other. The service asks the same again when it is applied.
 */

/** Rules of meaning, as the service has them: fields begin with `spec`. */
export type Rules = (faults: Faults, spec: never) => void;

const PREFIX = 'spec';

/** The spec as a message of `typeName`; undefined when it has faults, which are told at their places. */
export function readSpec(
  typeName: string,
  rules: Rules | undefined,
  value: object,
  document: Document,
  faults: Fault[],
): object | undefined {
  const { message, violations } = read(typeName, value);
  for (const each of violations) tell(document, faults, PREFIX, each);
  const rest = message ?? read(typeName, without(value, violations)).message;
  if (!rules || !rest) return message;
  const senseless = violationsOf(rules, rest).filter((each) => !isToldAlready(each, violations, value));
  for (const each of senseless) tell(document, faults, '', each);
  return senseless.length === 0 ? message : undefined;
}

interface Reading {
  readonly message: object | undefined;
  readonly violations: readonly Violation[];
}

function read(typeName: string, value: unknown): Reading {
  const found = violationsIn(() => requestSchema(typeName).check(value));
  return 'result' in found ? { message: found.result, violations: [] } : { message: undefined, ...found };
}

function violationsOf(rules: Rules, spec: object): readonly Violation[] {
  const found = new Faults();
  rules(found, spec as never);
  const told = violationsIn(() => found.throwIfAny());
  return 'result' in told ? [] : told.violations;
}

function violationsIn<T>(check: () => T): { result: T } | { violations: readonly Violation[] } {
  try {
    return { result: check() };
  } catch (error) {
    if (!(error instanceof HiveError) || error.violations.length === 0) throw error;
    return { violations: error.violations };
  }
}

/** A copy without what has the wrong form; of a list, the item is empty and keeps its place. */
function without(value: object, violations: readonly Violation[]): unknown {
  const copy: unknown = structuredClone(value);
  for (const { field } of violations) {
    const path = segments(field);
    const last = path.pop() ?? '';
    const parent = path.reduce((part: unknown, name) => (isRecord(part) ? part[name] : undefined), copy);
    if (Array.isArray(parent)) parent[Number(last)] = {};
    else if (isRecord(parent)) delete parent[last];
  }
  return copy;
}

/**
 * It, or what it is in, has the wrong form; or it is missing where something has a name that is not known; or what was made
 * empty in it is.
 */
function isToldAlready({ field, value: said }: Violation, told: readonly Violation[], value: object): boolean {
  const path = segments(field).slice(1);
  const parent = path.slice(0, -1);
  const isMissing =
    path.reduce((part: unknown, name) => (isRecord(part) ? part[name] : undefined), value) === undefined;
  return told.some((each) => {
    const at = segments(each.field);
    if (at.every((name, i) => path[i] === name)) return true;
    if (said === '""' && path.every((name, i) => at[i] === name)) return true;
    return isMissing && at.length === path.length && parent.every((name, i) => at[i] === name);
  });
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
