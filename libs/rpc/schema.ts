import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { HiveError, invalid, quote, type Violation } from '../kernel/errors.ts';
import { nearest } from '../kernel/nearest.ts';
import { messageDescriptor } from './descriptors.ts';
import { enumReader, enumZero, fault, isFull, isObject, prefix, type Read, scalar, WELL_KNOWN } from './json-types.ts';
import { type Field, type Message, type Take, walkOver } from './schema-walk.ts';

/**
 * Reads the proto3 JSON form of a message into the object that the rest of the program works with: the same form, with
 * defaults filled in and lowerCamelCase names. Compiled from the descriptors once for each message type; a reader is a
 * walk over the keys that are there, and paths are only built for faults.
 */
export interface Schema {
  readonly typeName: string;
  /** Throws INVALID_ARGUMENT with all faults at once. */
  decode(bytes: Uint8Array): object;
  /** The same for a value that was parsed already. */
  check(value: unknown): object;
}

/** For what comes from outside: unknown fields and enum values are faults, as everything else that is wrong is. */
export const requestSchema = (typeName: string): Schema => schemaOf(typeName, false);

/** For what a peer of ours answers: fields and enum values of a newer version are left out. */
export const responseSchema = (typeName: string): Schema => schemaOf(typeName, true);

const compiled = { strict: new Map<string, Read>(), lenient: new Map<string, Read>() };

function schemaOf(typeName: string, lenient: boolean): Schema {
  const read = messageReader(messageDescriptor(typeName), lenient);
  const check = (value: unknown): object => {
    const faults: Violation[] = [];
    const message = read(value, faults);
    if (faults.length === 0) return message as object;
    throw invalid(faults.map((each) => (each.field === '' ? { ...each, field: 'message' } : each)));
  };
  return { typeName, check, decode: (bytes) => check(parseJson(bytes, typeName)) };
}

/** An empty payload is the empty message, so that `nats req … ''` works by hand. */
function parseJson(bytes: Uint8Array, typeName: string): unknown {
  if (bytes.length === 0) return {};
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HiveError('INVALID_ARGUMENT', `the payload must be the JSON of a ${typeName}: ${why}`, {
      cause,
      reason: 'MALFORMED_JSON',
      violations: [{ field: 'message', value: quote(text), rule: 'must be JSON' }],
    });
  }
}

function messageReader(type: DescMessage, lenient: boolean): Read {
  const known = lenient ? compiled.lenient : compiled.strict;
  const done = WELL_KNOWN[type.typeName] ?? known.get(type.typeName);
  if (done) return done;
  // Set before the fields are compiled, so that a message may contain itself.
  let read: Read = () => undefined;
  known.set(type.typeName, (value, faults) => read(value, faults));
  read = compile(type, lenient);
  known.set(type.typeName, read);
  return read;
}

function compile(type: DescMessage, lenient: boolean): Read {
  const fields = type.fields.map((field) => ({ field, compiled: fieldOf(field, lenient) }));
  const byName = new Map<string, Field>();
  for (const { field, compiled } of fields) byName.set(field.name, compiled).set(field.jsonName, compiled);

  const take: Take = (message, key, value, faults) => {
    const given = value[key];
    if (given === undefined) return; // as most fields of what protobuf has read; JSON has no such
    const field = byName.get(key);
    if (field === undefined) {
      if (!lenient) unknownField(type, key, given, faults);
      return;
    }
    if (given === null) return; // null is the default
    const before = faults.length;
    if (key !== field.name && value[field.name] !== undefined) fault(faults, given, `is given as ${key} too`);
    message[field.name] = field.read(given, faults);
    if (faults.length > before) prefix(faults, before, field.name);
  };
  const walk = walkOver(
    fields.map(({ compiled }) => compiled),
    take,
  );
  const rule = `must be an object, the JSON of a ${type.typeName}`;
  return (value, faults) => (isObject(value) ? walk(value, faults) : fault(faults, value, rule));
}

function unknownField(type: DescMessage, key: string, value: unknown, faults: Violation[]): void {
  const names = type.fields.map((field) => field.jsonName);
  const close = nearest(key, names);
  const hint = close ? `did you mean ${close}?` : `it has ${names.length === 0 ? 'none' : names.join(', ')}`;
  faults.push({ field: key, value: quote(value), rule: `is not a field of ${type.name}; ${hint}` });
}

function fieldOf(field: DescField, lenient: boolean): Field {
  // ts-proto gives oneofs another shape than proto3 JSON, so there must be none where both are the same object.
  if (field.oneof) throw new Error(`${field.parent.typeName}.${field.name}: oneofs are not supported`);
  const name = field.jsonName;
  // `optional`: that it was left out says something else than zero.
  const isOptional = field.presence === FeatureSet_FieldPresence.EXPLICIT;
  switch (field.fieldKind) {
    case 'scalar': {
      const { read, zero } = scalar(field.scalar);
      return { name, read, zero: isOptional ? undefined : zero, container: undefined };
    }
    case 'enum': {
      const zero = isOptional ? undefined : enumZero(field.enum);
      return { name, read: enumReader(field.enum, lenient), zero, container: undefined };
    }
    case 'message':
      return { name, read: messageReader(field.message, lenient), zero: undefined, container: undefined };
    case 'list':
      return { name, read: listReader(elementReader(field, lenient)), zero: undefined, container: 'list' };
    case 'map':
      return { name, read: mapReader(elementReader(field, lenient)), zero: undefined, container: 'map' };
  }
}

function elementReader(field: DescField & { fieldKind: 'list' | 'map' }, lenient: boolean): Read {
  if (field.message) return messageReader(field.message, lenient);
  if (field.enum) return enumReader(field.enum, lenient);
  return scalar(field.scalar).read;
}

function listReader(read: Read): Read {
  return (value, faults) => {
    if (!Array.isArray(value)) return fault(faults, value, 'must be a list');
    const list = new Array<unknown>(value.length);
    for (let i = 0; i < value.length && !isFull(faults); i++) {
      const before = faults.length;
      list[i] = read(value[i], faults);
      if (faults.length > before) prefix(faults, before, `[${i}]`);
    }
    return list;
  };
}

/** Keys stay strings, as in JSON. */
function mapReader(read: Read): Read {
  return (value, faults) => {
    if (!isObject(value)) return fault(faults, value, 'must be an object');
    const map: Message = {};
    for (const key of Object.keys(value)) {
      if (isFull(faults)) break;
      const before = faults.length;
      const entry = read(value[key], faults);
      if (faults.length > before) prefix(faults, before, `[${quote(key)}]`);
      // Assigning would set the prototype.
      if (key === '__proto__') fault(faults, key, 'must not be a key');
      else map[key] = entry;
    }
    return map;
  };
}
