import { type ErrorJson, HiveError } from '../kernel/errors.ts';
import type { RequestId } from '../protocol/call.ts';
import type { Bounds, Entry } from './ports.ts';

/** What one command became. Field names are short: they are written a hundred million times. */
export interface DecidedJson {
  /** Request id: client and counter. */
  r?: [client: string, counter: number];
  /** The command's name, when there is a request id. */
  n?: string;
  /** What its input is known by (`contentDigest`), when there is a request id; not there in old records. */
  h?: string;
  /** Who asked, e.g. `swarm:code`. */
  p: string;
  /** Events, in order. */
  e: { type: string; data: object }[];
  /** The reply that was given, kept when there is a request id. */
  y?: unknown;
  /** The refusal that was given, kept when there is a request id. */
  x?: ErrorJson;
}

/** A group record: everything that was decided while the append before it was in flight. */
export interface GroupJson {
  /** Machine time, milliseconds since 1970. */
  t: number;
  c: DecidedJson[];
}

/** An epoch record: a leader begins. */
export interface EpochJson {
  t: number;
  incarnation: string;
}

/** An operator's word that a record which cannot be applied shall be passed over, for ever and by every replica. */
export interface SkipJson {
  skip: number;
  by: string;
  reason: string;
}

/** One command's part of a group record; `events` are JSON texts of `{type, data}` with commas between them. */
export function encodeDecided(
  principal: string,
  events: string,
  request: RequestId | undefined,
  command: string,
  outcome: string,
  digest = '',
): string {
  const p = JSON.stringify(principal);
  if (!request) return `{"p":${p},"e":[${events}]}`;
  return `{"r":[${JSON.stringify(request.client)},${Number(request.counter)}],"n":"${command}","h":"${digest}","p":${p},"e":[${events}],${outcome}}`;
}

export const encodeGroup = (time: number, decided: readonly string[]): string =>
  `{"t":${time},"c":[${decided.join(',')}]}`;

export const encodeEpoch = (time: number, incarnation: string): string =>
  JSON.stringify({ t: time, incarnation } satisfies EpochJson);

export function decodeGroup(entry: Entry): GroupJson {
  const group = parse(entry) as Partial<GroupJson> | null;
  if (typeof group?.t !== 'number' || !Array.isArray(group.c))
    throw corrupt(entry.seq, 'it is not a group of commands');
  return group as GroupJson;
}

export function decodeEpoch(entry: Entry): EpochJson {
  const epoch = parse(entry) as Partial<EpochJson> | null;
  if (typeof epoch?.t !== 'number' || typeof epoch.incarnation !== 'string') {
    throw corrupt(entry.seq, 'it is not the beginning of an epoch');
  }
  return epoch as EpochJson;
}

/** What a skip record says; undefined when the entry is none. */
export function decodeSkip(entry: Entry): SkipJson | undefined {
  if (entry.envelope?.kind !== 'skip') return undefined;
  const mark = parse(entry) as Partial<SkipJson> | null;
  if (typeof mark?.skip !== 'number') throw corrupt(entry.seq, 'it does not name the record to pass over');
  return mark as SkipJson;
}

function parse(entry: Entry): unknown {
  const { buffer, byteOffset, byteLength } = entry.body;
  try {
    return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString());
  } catch (cause) {
    throw corrupt(entry.seq, 'it is not JSON', cause);
  }
}

/** A record of the current leader that cannot be understood: the machine stops there and never skips it. */
export const corrupt = (seq: number, what: string, cause?: unknown): HiveError =>
  new HiveError('DATA_LOSS', `the journal's record ${seq} cannot be applied: ${what}`, {
    reason: 'CORRUPT_RECORD',
    cause,
  });

export const compacted = (from: number, bounds: Bounds): HiveError =>
  new HiveError(
    'OUT_OF_RANGE',
    `revision ${from} is no longer kept: the journal begins at ${bounds.first}; list again and watch from there`,
    { reason: 'COMPACTED' },
  );
