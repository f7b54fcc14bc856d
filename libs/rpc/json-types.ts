import type { DescEnum } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { quote, type Violation } from '../kernel/errors.ts';

/**
 * Reads one JSON value into its in-memory form. On a fault it adds to `faults`, with a path relative to the value
 * (the callers prefix their own part), and returns whatever.
 */
export type Read = (value: unknown, faults: Violation[]) => unknown;

/** JSON nested deeper than this is refused: protobuf readers stop at 100 levels and each of these takes three. */
const MAX_JSON_DEPTH = 32;

const MAX_UINT64 = 18446744073709551615n;
const MAX_INT64 = 9223372036854775807n;

/** More faults than anybody reads are not looked for: a large message could hold a million. */
const MAX_FAULTS = 64;

export const isFull = (faults: readonly Violation[]): boolean => faults.length >= MAX_FAULTS;

export function fault(faults: Violation[], value: unknown, rule: string): undefined {
  // JSON has no NaN and no infinities: 1e400 is one when it was read.
  const shown = typeof value === 'number' && !Number.isFinite(value) ? String(value) : quote(value);
  faults.push({ field: '', value: shown, rule });
}

/** Puts `name` before the paths of the faults from `start` on. */
export function prefix(faults: Violation[], start: number, name: string): void {
  for (let i = start; i < faults.length; i++) {
    const { field, value, rule } = faults[i] as Violation;
    const path = field === '' ? name : field.startsWith('[') ? `${name}${field}` : `${name}.${field}`;
    faults[i] = { field: path, value, rule };
  }
}

const readString: Read = (value, faults) =>
  typeof value === 'string' ? value : fault(faults, value, 'must be a string');

const readBool: Read = (value, faults) =>
  typeof value === 'boolean' ? value : fault(faults, value, 'must be true or false');

/** A number, or the same as a decimal string. */
const asNumber = (value: unknown): unknown =>
  typeof value === 'string' && /^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(value) ? Number(value) : value;

const readDouble: Read = (value, faults) => {
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  const number = asNumber(value);
  return typeof number === 'number' ? number : fault(faults, value, 'must be a number');
};

function readInteger(name: string, min: number, max: number): Read {
  return (value, faults) => {
    const number = typeof value === 'number' ? value : asNumber(value);
    if (Number.isInteger(number) && (number as number) >= min && (number as number) <= max) return number;
    return fault(faults, value, `must be ${name}, ${min} to ${max}`);
  };
}

/** 64-bit numbers are decimal strings in memory; a JSON number is taken as far as it is exact. */
function readLong(name: string, min: bigint, max: bigint): Read {
  return (value, faults) => {
    if (Number.isSafeInteger(value) && (min < 0n || (value as number) >= 0)) return String(value);
    if (typeof value === 'string' && /^(0|-?[1-9]\d{0,19})$/.test(value)) {
      // 18 digits fit whatever they are
      if (value.length < 19 && (min < 0n || value.charCodeAt(0) !== 45)) return value;
      const number = BigInt(value);
      if (number >= min && number <= max) return value;
    }
    return fault(faults, value, `must be ${name}, ${min} to ${max}, as a decimal string`);
  };
}

const readInt32 = readInteger('an integer', -2147483648, 2147483647);
const readUint32 = readInteger('a whole number', 0, 4294967295);
const readInt64 = readLong('an integer', -MAX_INT64 - 1n, MAX_INT64);
const readUint64 = readLong('a whole number', 0n, MAX_UINT64);

export interface Scalar {
  readonly read: Read;
  readonly zero: string | number | boolean;
}

const SCALARS: Partial<Record<ScalarType, Scalar>> = {
  [ScalarType.STRING]: { read: readString, zero: '' },
  [ScalarType.BOOL]: { read: readBool, zero: false },
  [ScalarType.DOUBLE]: { read: readDouble, zero: 0 },
  [ScalarType.FLOAT]: { read: readDouble, zero: 0 },
  [ScalarType.INT32]: { read: readInt32, zero: 0 },
  [ScalarType.SINT32]: { read: readInt32, zero: 0 },
  [ScalarType.SFIXED32]: { read: readInt32, zero: 0 },
  [ScalarType.UINT32]: { read: readUint32, zero: 0 },
  [ScalarType.FIXED32]: { read: readUint32, zero: 0 },
  [ScalarType.INT64]: { read: readInt64, zero: '0' },
  [ScalarType.SINT64]: { read: readInt64, zero: '0' },
  [ScalarType.SFIXED64]: { read: readInt64, zero: '0' },
  [ScalarType.UINT64]: { read: readUint64, zero: '0' },
  [ScalarType.FIXED64]: { read: readUint64, zero: '0' },
};

export function scalar(type: ScalarType): Scalar {
  const found = SCALARS[type];
  if (!found) throw new Error(`fields of type ${ScalarType[type]} have no JSON form in memory`);
  return found;
}

/** An enum's name or number; `lenient`: what is not known (a newer peer) is the zero value. */
export function enumReader(type: DescEnum, lenient: boolean): Read {
  const names = new Map<unknown, string>(type.values.flatMap((v) => [[v.name, v.name] as const, [v.number, v.name]]));
  const zero = enumZero(type);
  const rule = `must be one of ${type.values.map((v) => v.name).join(', ')}`;
  return (value, faults) => names.get(value) ?? (lenient ? zero : fault(faults, value, rule));
}

export const enumZero = (type: DescEnum): string => (type.values[0] as { name: string }).name;

const CANONICAL_TIME = /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** RFC 3339; in memory always UTC with milliseconds, as it comes over gRPC too. */
const readTimestamp: Read = (value, faults) => {
  if (typeof value === 'string') {
    if (CANONICAL_TIME.test(value)) return value;
    const ms = RFC3339.test(value) ? Date.parse(value) : Number.NaN;
    if (!Number.isNaN(ms)) return new Date(ms).toISOString();
  }
  return fault(faults, value, 'must be a time such as 2026-01-31T12:00:00Z (RFC 3339)');
};

const readDuration: Read = (value, faults) =>
  typeof value === 'string' && /^-?\d{1,12}(\.\d{1,9})?s$/.test(value)
    ? value
    : fault(faults, value, 'must be a duration in seconds such as 1.5s');

/** Any JSON that is the same everywhere: what cannot be written as JSON again would be another value on each replica. */
const readAny: Read = (value, faults) => {
  const wrong = faultOfAny(value, MAX_JSON_DEPTH);
  return wrong ? fault(faults, wrong.value, wrong.rule) : value;
};

const readStruct: Read = (value, faults) =>
  isObject(value) ? readAny(value, faults) : fault(faults, value, 'must be an object');

const readListValue: Read = (value, faults) =>
  Array.isArray(value) ? readAny(value, faults) : fault(faults, value, 'must be a list');

/** Messages of google.protobuf whose JSON form is their own. */
export const WELL_KNOWN: Readonly<Record<string, Read>> = {
  'google.protobuf.Timestamp': readTimestamp,
  'google.protobuf.Duration': readDuration,
  'google.protobuf.Value': readAny,
  'google.protobuf.Struct': readStruct,
  'google.protobuf.ListValue': readListValue,
};

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function faultOfAny(value: unknown, depth: number): { value: unknown; rule: string } | undefined {
  if (typeof value === 'number' && !Number.isFinite(value)) return { value, rule: 'must hold finite numbers only' };
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === 0) return { value: '(deep)', rule: `must not nest deeper than ${MAX_JSON_DEPTH}` };
  // Assigning it sets the prototype, so it is lost wherever such an object is copied by keys, as over gRPC.
  if (Object.hasOwn(value, '__proto__')) return { value: '__proto__', rule: 'must not be a key' };
  for (const child of Array.isArray(value) ? value : Object.values(value)) {
    const wrong = faultOfAny(child, depth - 1);
    if (wrong) return wrong;
  }
  return undefined;
}
