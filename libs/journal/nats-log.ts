import { DeliverPolicy, JetStreamApiError, type JetStreamManager, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { Outages } from '../bus/outages.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { HiveError } from '../kernel/errors.ts';
import { encodeLines, eventLines } from '../protocol/envelope.ts';
import type { Appended, Bounds, Entry, Envelope, Log } from './ports.ts';
import { compacted } from './record.ts';

export interface NatsLogOptions {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly stream: string;
  readonly subject: string;
  /** `/hivebus/<federation>/<service>` */
  readonly source: string;
  readonly appendTimeoutMs: number;
}

/** JetStream's error codes that matter here; its error texts are never looked at. */
const WRONG_LAST_SEQUENCE = [10071, 10164];
export const STREAM_NOT_FOUND = 10059;
const NO_SPACE = [10023, 10047, 10077, 10122, 10028];

/** The journal's stream on JetStream. */
export function natsLog(options: NatsLogOptions): Log {
  const { nc, jsm, stream, subject, source, appendTimeoutMs } = options;
  const outages = Outages.of(nc);
  const asked = <T>(ask: () => Promise<T>) => answered(stream, outages, ask);
  return {
    async append(expected, envelope, body, traceparent) {
      const headers = recordHeaders(envelope, expected, source, traceparent);
      try {
        const sent = () => nc.request(subject, Buffer.from(body), { headers, timeout: appendTimeoutMs });
        const ack = await outages.answer(sent);
        return outcomeOf(ack, expected);
      } catch (cause) {
        const message = `JetStream did not answer: ${cause instanceof Error ? cause.message : cause}`;
        return { outcome: 'unknown', error: new HiveError('UNAVAILABLE', message, { cause }) };
      }
    },
    async entryAt(seq) {
      const stored = await asked(() => jsm.streams.getMessage(stream, { seq }));
      return stored ? entryOf(seq, stored.header, stored.data) : undefined;
    },
    bounds: () => asked(() => boundsOf(jsm, stream)),
    follow: (after, onEntry, onBroken) => follow(options, after, onEntry, onBroken),
    async firstSince(time, limit) {
      let low = (await asked(() => boundsOf(jsm, stream))).first;
      let high = limit;
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const stored = await asked(() => jsm.streams.getMessage(stream, { seq: middle }));
        if (stored && stored.time.getTime() >= time) high = middle;
        else low = middle + 1;
      }
      return low;
    },
    async purge(seq) {
      await asked(() => jsm.streams.purge(stream, { seq: seq + 1 }));
    },
  };
}

/** Written as one text: the client's header object would cost as much as the append. All values are ours. */
function recordHeaders(envelope: Envelope, expected: number, source: string, traceparent: string) {
  const { id, kind, epoch, writer } = envelope;
  const event = eventLines({ id, type: `hivebus.journal.${kind}`, source, timeMs: Date.now() });
  const trace = traceparent === '' ? '' : `traceparent: ${traceparent}\r\n`;
  return rawHeaders(
    encodeLines(
      `Nats-Msg-Id: ${id}\r\nNats-Expected-Last-Sequence: ${expected}\r\nhive-record: ${kind}\r\nhive-epoch: ${epoch}\r\nhive-writer: ${writer}\r\n${event}${trace}`,
    ),
  );
}

function outcomeOf(ack: Msg, expected: number): Appended {
  const answer = ack.json<{ seq?: number; duplicate?: boolean; error?: { err_code?: number; description?: string } }>();
  if (answer.error) {
    const { err_code: code = 0, description = '' } = answer.error;
    if (WRONG_LAST_SEQUENCE.includes(code)) return { outcome: 'refused' };
    const full = NO_SPACE.includes(code);
    const error = new HiveError(
      full ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE',
      `JetStream keeps no more records (${description}, error ${code})${full ? '; make room in its store' : ''}`,
      { retryable: true, retryAfterMs: 1000, reason: full ? 'STORE_FULL' : 'STORE_REFUSES' },
    );
    return { outcome: 'unknown', error };
  }
  if (answer.seq === expected + 1 && !answer.duplicate) return { outcome: 'committed' };
  const message = `JetStream's acknowledgement does not fit: sequence ${answer.seq} after ${expected}`;
  return { outcome: 'unknown', error: new HiveError('UNAVAILABLE', message) };
}

/** What JetStream answers, with its failures in our words: a stream that is gone is a loss, anything else may pass. */
async function answered<T>(stream: string, outages: Outages, ask: () => Promise<T>): Promise<T> {
  try {
    return await outages.answer(ask);
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === STREAM_NOT_FOUND) {
      const message = `the stream ${stream} is gone: restore it from a backup, or start the service anew`;
      throw new HiveError('DATA_LOSS', message, { cause, reason: 'STREAM_LOST' });
    }
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HiveError('UNAVAILABLE', `JetStream did not answer for ${stream}: ${why}`, { cause });
  }
}

async function boundsOf(jsm: JetStreamManager, stream: string): Promise<Bounds> {
  const { state } = await jsm.streams.info(stream);
  // An emptied stream says first = last + 1; one that never held anything says 0.
  return { first: Math.max(1, state.first_seq), last: state.last_seq };
}

interface ReadHeaders {
  get(name: string): string;
}

function entryOf(seq: number, headers: ReadHeaders | undefined, body: Uint8Array): Entry {
  return { seq, envelope: headers && envelopeOf(headers), body };
}

function envelopeOf(headers: ReadHeaders): Envelope | undefined {
  const kind = headers.get('hive-record');
  const id = headers.get('Nats-Msg-Id');
  const epoch = Number(headers.get('hive-epoch'));
  const writer = headers.get('hive-writer');
  if (
    (kind !== 'epoch' && kind !== 'group' && kind !== 'skip') ||
    id === '' ||
    writer === '' ||
    !Number.isSafeInteger(epoch)
  )
    return undefined;
  return { id, kind, epoch, writer };
}

/** One batch in flight holds at most 100 records of 448 KB: less than what makes a client a slow consumer. */
const MAX_MESSAGES = 100;

function follow(
  { nc, jsm, stream }: NatsLogOptions,
  after: number,
  onEntry: (entry: Entry) => void,
  onBroken: (error: HiveError) => void,
): Disposable {
  let stop = () => {};
  let stopped = false;
  const broken = (cause: unknown) => {
    if (stopped) return;
    stopped = true;
    stop();
    const message = cause instanceof Error ? cause.message : String(cause);
    onBroken(
      cause instanceof HiveError ? cause : new HiveError('UNAVAILABLE', `following ${stream}: ${message}`, { cause }),
    );
  };
  const take = (message: JsMsg) => {
    if (!stopped) onEntry(entryOf(message.seq, message.headers, message.data));
  };
  const begin = async () => {
    const bounds = await answered(stream, Outages.of(nc), () => boundsOf(jsm, stream));
    // An ordered consumer asked for a purged sequence silently starts later.
    if (after + 1 < bounds.first) throw compacted(after, bounds);
    const consumer = await jetstream(nc).consumers.get(stream, {
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: after + 1,
    });
    const messages = await consumer.consume({ max_messages: MAX_MESSAGES, callback: take });
    stop = () => messages.stop();
    if (stopped) return stop();
    void messages.closed().then((error) => broken(error ?? new Error('the consumer was closed')));
  };
  begin().catch(broken);
  return {
    [Symbol.dispose]: () => {
      stopped = true;
      stop();
    },
  };
}
