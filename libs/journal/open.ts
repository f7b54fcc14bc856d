import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { Objm } from '@nats-io/obj';
import { natsObjects } from '../bus/objects.ts';
import { streamError } from '../bus/streams.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { journalStream, journalSubject, leaderSubject, objectStream, snapshotBucket } from '../protocol/subjects.ts';
import type { Perform } from './effects.ts';
import type { Journal } from './journal.ts';
import { natsAnnouncer } from './nats-announcer.ts';
import { natsLine } from './nats-line.ts';
import { natsLog, STREAM_NOT_FOUND } from './nats-log.ts';
import { natsSnapshots } from './nats-snapshots.ts';
import { observeJournal } from './observe-journal.ts';
import { otelObserver } from './observer.ts';
import type { Observer } from './ports.ts';
import { Runner } from './runner.ts';
import { DEFAULT_SETTINGS, type JournalSettings } from './settings.ts';

export interface OpenJournalOptions<M extends Shape> {
  readonly machine: Machine<M>;
  readonly federation: string;
  /** Carries the records. With `noAsyncTraces`. */
  readonly nc: NatsConnection;
  /** Carries announcements; one of its own keeps them from delaying acknowledgements. */
  readonly announcer: NatsConnection;
  readonly soft: M['soft'];
  /** Who a forwarded token proves in this federation; throws UNAUTHENTICATED. */
  readonly authenticate: (token: string, federation: string) => Principal;
  /**
   * Checks the input of a command that is forwarded; throws INVALID_ARGUMENT. What it does not know is refused. May wait
   * until what the decision needs is known here.
   */
  readonly checkCommand?: (name: string, input: unknown) => void | Promise<void>;
  /** Does an effect outside; retried with backoff while its row is in the effects table. */
  readonly perform?: Perform;
  readonly settings?: Partial<JournalSettings>;
  readonly clock?: Clock;
  readonly log?: Observer['log'];
}

/** Opens a service's journal in a federation, making stream and snapshot bucket where there are none. */
export async function openJournal<M extends Shape>(options: OpenJournalOptions<M>): Promise<Journal<M>> {
  const { machine, federation, nc, authenticate } = options;
  const { service } = machine;
  const settings = { ...DEFAULT_SETTINGS, ...options.settings };
  const stream = journalStream(federation, service);
  const subject = journalSubject(federation, service);
  const bucketName = snapshotBucket(federation, service);
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: API_TIMEOUT_MS });
  const incarnation = await ensureStores(jsm, stream, subject, bucketName, settings.replicas);
  const bucket = await new Objm(nc).open(bucketName, false);
  const { appendTimeoutMs } = settings;
  const source = `/hivebus/${federation}/${service}`;
  const runner = new Runner<M>({
    machine,
    federation,
    incarnation,
    log: natsLog({ nc, jsm, stream, subject, source, appendTimeoutMs }),
    snapshots: natsSnapshots(natsObjects(bucket, jsm, bucketName, 'the snapshot store')),
    line: natsLine(nc, leaderSubject(federation, service), options.clock),
    announcer: natsAnnouncer(options.announcer, federation, service),
    observer: otelObserver({ service, federation, subject }, options.log ?? (() => {})),
    clock: options.clock ?? systemClock,
    rng: Math.random,
    settings,
    soft: options.soft,
    authenticate: (token) => authenticate(token, federation),
    checkCommand: options.checkCommand,
    perform: options.perform,
  }).start();
  observeJournal(runner, service);
  return runner;
}

const INCARNATION = 'incarnation ';

const incarnationOf = (info: StreamInfo | undefined): string | undefined =>
  info?.config.description?.startsWith(INCARNATION) ? info.config.description.slice(INCARNATION.length) : undefined;

/**
 * Makes the snapshot bucket and then the stream, both marked with one incarnation, and returns it. One that has lost
 * the other, or belongs to another, is refused: going on would silently forget what was accepted.
 */
async function ensureStores(
  jsm: JetStreamManager,
  stream: string,
  subject: string,
  bucket: string,
  replicas: number,
): Promise<string> {
  let [journal, snapshots] = [await infoOf(jsm, stream), await infoOf(jsm, objectStream(bucket))];
  if (!journal && snapshots && snapshots.state.messages > 0) {
    throw new HiveError(
      'FAILED_PRECONDITION',
      `the snapshots ${bucket} are there and their stream ${stream} is not: ${MEND}`,
      {
        reason: 'STREAM_LOST',
      },
    );
  }
  if (journal && !snapshots) {
    throw new HiveError(
      'FAILED_PRECONDITION',
      `the stream ${stream} is there and its snapshots ${bucket} are not: ${MEND}`,
      {
        reason: 'SNAPSHOTS_LOST',
      },
    );
  }
  snapshots ??= await makeBucket(jsm, bucket, replicas);
  const incarnation = incarnationOf(snapshots) ?? '';
  journal ??= await makeStream(jsm, stream, subject, incarnation, replicas);
  if (incarnation === '' || incarnationOf(journal) !== incarnation) {
    throw new HiveError(
      'FAILED_PRECONDITION',
      `the stream ${stream} (${incarnationOf(journal) ?? 'not a journal'}) and the snapshots ${bucket} (${incarnation || 'not marked'}) do not belong together: ${MEND}`,
      { reason: 'INCARNATIONS_DIFFER' },
    );
  }
  return incarnation;
}

/** A request to a server that has died is never answered, and answered by another once there is a new leader. */
const API_TIMEOUT_MS = 2000;

const MEND =
  'restore the missing one from a backup, or remove both (`nats stream rm`, `nats object rm`) to begin anew with nothing';

/** JetStream's error code. */
const STREAM_NAME_IN_USE = 10058;

async function infoOf(jsm: JetStreamManager, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(stream);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return undefined;
    throw streamError(stream, error);
  }
}

/** What stands there now, by whomever; `failed` says why it could not be made when nothing does. */
async function made(jsm: JetStreamManager, stream: string, failed: unknown): Promise<StreamInfo> {
  const info = await infoOf(jsm, stream);
  if (info) return info;
  const byAnother = failed instanceof JetStreamApiError && failed.code === STREAM_NAME_IN_USE;
  if (failed && !byAnother) throw streamError(stream, failed);
  throw new HiveError('UNAVAILABLE', `the stream ${stream} is being made`);
}

async function makeBucket(jsm: JetStreamManager, bucket: string, replicas: number): Promise<StreamInfo> {
  const description = `${INCARNATION}${randomId()}`;
  const options = { description, storage: StorageType.File, replicas };
  const failed = await new Objm(jsm.jetstream()).create(bucket, options).then(
    () => undefined,
    (error: unknown) => error, // another replica may have made it just now, with its own incarnation
  );
  return made(jsm, objectStream(bucket), failed);
}

async function makeStream(
  jsm: JetStreamManager,
  name: string,
  subject: string,
  incarnation: string,
  replicas: number,
): Promise<StreamInfo> {
  const failed = await jsm.streams
    .add({
      name,
      description: `${INCARNATION}${incarnation}`,
      subjects: [subject],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New,
      num_replicas: replicas,
      // Ids are never used twice and appends are not retried, so the server need not remember them for long.
      duplicate_window: 2_000_000_000,
      allow_direct: false,
      max_msgs: -1,
      max_bytes: -1,
      max_age: 0,
    })
    .then(
      () => undefined,
      (error: unknown) => error, // another replica may have made it just now
    );
  return made(jsm, name, failed);
}
