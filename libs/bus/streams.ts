import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';
import { deadLetterStream, deadLetterSubject, taskLogStream, taskLogsOfAll } from '../protocol/subjects.ts';

/** A stream that forgets its oldest messages: it can neither fill the disk nor block its writers. */
export interface BoundedStream {
  readonly name: string;
  readonly description: string;
  readonly subjects: readonly string[];
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  /** -1 = no bound of its own. */
  readonly maxMessagesPerSubject: number;
  readonly replicas: number;
}

/** Output lines of running tasks, one subject for each task. */
export const taskLogs = (federation: string, replicas = 1): BoundedStream => ({
  name: taskLogStream(federation),
  description: 'Output lines of tasks; the oldest are forgotten.',
  subjects: [taskLogsOfAll(federation)],
  maxBytes: 256 << 20,
  maxAgeMs: 86_400_000,
  maxMessagesPerSubject: 10_000,
  replicas,
});

/** What could not be processed, with the reason in its headers. */
export const deadLetters = (federation: string, replicas = 1): BoundedStream => ({
  name: deadLetterStream(federation),
  description: 'Messages that could not be processed, with the reason; the oldest are forgotten.',
  subjects: [deadLetterSubject(federation, '>')],
  maxBytes: 64 << 20,
  maxAgeMs: 7 * 86_400_000,
  maxMessagesPerSubject: -1,
  replicas,
});

export interface EnsuredStream {
  readonly created: boolean;
  /** How a stream that was there differs from what is wanted, e.g. `max_bytes is 1, wanted 2`. It is left as it is. */
  readonly differences: readonly string[];
}

/** JetStream's error code. */
export const STREAM_NOT_FOUND = 10059;
const NAME_IN_USE = 10058;
/** More than one replica was asked of a server alone. */
const NO_CLUSTER = 10074;
/** Of a cluster, too few run for so many replicas. */
const TOO_FEW_SERVERS = 10005;
const NO_ROOM: ReadonlySet<number> = new Set([10023, 10028, 10047]);

/** Creates the stream or adopts the one that is there: an operator may have changed its bounds on purpose. */
export async function ensureStream(jsm: JetStreamManager, wanted: BoundedStream): Promise<EnsuredStream> {
  const config = configOf(wanted);
  const found = await find(jsm, wanted.name);
  if (found) return { created: false, differences: differences(found, config) };
  try {
    await jsm.streams.add(config);
    return { created: true, differences: [] };
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === NAME_IN_USE))
      throw streamError(`${wanted.name} (up to ${wanted.maxBytes >> 20} MiB)`, error);
    const made = await find(jsm, wanted.name); // by another replica, just now
    return { created: false, differences: made ? differences(made, config) : [] };
  }
}

type Config = Pick<StreamConfig, 'name' | 'subjects'> & Partial<StreamConfig>;

const configOf = (wanted: BoundedStream): Config => ({
  name: wanted.name,
  description: wanted.description,
  subjects: [...wanted.subjects],
  storage: StorageType.File,
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  num_replicas: wanted.replicas,
  max_bytes: wanted.maxBytes,
  max_age: nanos(wanted.maxAgeMs),
  max_msgs_per_subject: wanted.maxMessagesPerSubject,
});

async function find(jsm: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await jsm.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined;
    throw streamError(name, error);
  }
}

const COMPARED = [
  'subjects',
  'storage',
  'retention',
  'discard',
  'num_replicas',
  'max_bytes',
  'max_age',
  'max_msgs_per_subject',
] as const;

function differences(found: StreamConfig, wanted: Config): string[] {
  return COMPARED.flatMap((key) => {
    const [is, should] = [JSON.stringify(found[key]), JSON.stringify(wanted[key])];
    return is === should ? [] : [`${key} is ${is}, wanted ${should}`];
  });
}

/** What a failed stream operation means to a caller. */
export function streamError(name: string, error: unknown): HiveError {
  if (error instanceof HiveError) return error;
  const message = `stream ${name}: ${error instanceof Error ? error.message : String(error)}`;
  if (!(error instanceof JetStreamApiError)) return new HiveError('UNAVAILABLE', message, { cause: error });
  const { code } = error;
  if (NO_ROOM.has(code)) {
    return new HiveError('RESOURCE_EXHAUSTED', `${message}; free some disk, or raise max_file_store`, { cause: error });
  }
  if (code === NO_CLUSTER) {
    return new HiveError('FAILED_PRECONDITION', `${message}; HIVEBUS_REPLICAS needs a NATS cluster`, { cause: error });
  }
  const mayPass = code === TOO_FEW_SERVERS || error.status >= 500;
  return new HiveError(mayPass ? 'UNAVAILABLE' : 'FAILED_PRECONDITION', message, { cause: error });
}
