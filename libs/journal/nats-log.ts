import { JetStreamApiError, type JetStreamManager, type JsMsg } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { Link } from '../bus/link.ts';
import { orderedMessages } from '../bus/ordered.ts';
import { type Heard, request } from '../bus/request.ts';
import { pause, systemClock } from '../kernel/clock.ts';
import { disposable } from '../kernel/disposable.ts';
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

/** How long a stream of a cluster may be without a leader: an election takes 4 to 9 s. */
const ELECTION_MS = 15_000;
const TRY_AGAIN_MS = 50;

/** JetStream's error codes that matter here; its error texts are never looked at. */
const WRONG_LAST_SEQUENCE = [10071, 10164];
export const STREAM_NOT_FOUND = 10059;
const NO_SPACE = [10023, 10047, 10077, 10122, 10028];

/** The journal's stream on JetStream. */
export function natsLog(options: NatsLogOptions): Log {
  const { nc, jsm, stream, subject, source, appendTimeoutMs } = options;
  const link = Link.of(nc);
  const asked = <T>(ask: () => Promise<T>) => answered(stream, link, ask);
  return {
    async append(expected, envelope, body, traceparent) {
      const giveUpAt = systemClock.monotonic() + ELECTION_MS;
      for (;;) {
        const headers = recordHeaders(envelope, expected, source, traceparent);
        try {
          const question = { subject, body: Buffer.from(body), headers, timeoutMs: appendTimeoutMs };
          const sent = () => new Promise<Heard>((resolve) => request(nc, systemClock, question, resolve));
          const heard = await link.answer(sent);
          if (heard === 'silence') return unknown(`nothing came within ${appendTimeoutMs} ms`);
          if (heard !== 'nobody') return outcomeOf(heard, expected);
          // Nobody was there to take it, so it is no second try under its id.
          if (systemClock.monotonic() >= giveUpAt) return unknown('its stream has no leader');
          await pause(systemClock, TRY_AGAIN_MS);
        } catch (cause) {
          return unknown(cause instanceof Error ? cause.message : String(cause), cause);
        }
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
  return encodeLines(
    `Nats-Msg-Id: ${id}\r\nNats-Expected-Last-Sequence: ${expected}\r\nhive-record: ${kind}\r\nhive-epoch: ${epoch}\r\nhive-writer: ${writer}\r\n${event}${trace}`,
  );
}

const unknown = (why: string, cause?: unknown): Appended => ({
  outcome: 'unknown',
  error: new HiveError('UNAVAILABLE', `JetStream did not answer: ${why}`, { cause }),
});

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

/** A server that has just begun to lead a cluster may not know all streams yet: it is asked again before it is believed. */
const LOST_AFTER_MS = [500, 1000, 2000];

/** What JetStream answers, with its failures in our words: a stream that is gone is a loss, anything else may pass. */
async function answered<T>(stream: string, link: Link, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await link.answer(ask);
    } catch (cause) {
      if (!isStreamGone(cause)) throw noAnswer(stream, cause);
      const againMs = LOST_AFTER_MS[attempt];
      if (againMs !== undefined) await pause(systemClock, againMs);
      else throw streamLost(stream, cause);
    }
  }
}

const isStreamGone = (cause: unknown): boolean => cause instanceof JetStreamApiError && cause.code === STREAM_NOT_FOUND;

const noAnswer = (stream: string, cause: unknown): HiveError => {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new HiveError('UNAVAILABLE', `JetStream did not answer for ${stream}: ${why}`, { cause });
};

function streamLost(stream: string, cause: unknown): HiveError {
  const message = `the stream ${stream} is gone: restore it from a backup, or start the service anew`;
  return new HiveError('DATA_LOSS', message, { cause, reason: 'STREAM_LOST' });
}

/** From the stream's leader only: while there is none, servers answer from what they have, however old. */
async function boundsOf(jsm: JetStreamManager, stream: string): Promise<Bounds> {
  const { state, config, cluster } = await jsm.streams.info(stream);
  if (config.num_replicas > 1 && !cluster?.leader) throw new Error('it has no leader at the moment');
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

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1000;

/** Follows for as long as the stream holds what comes next: a consumer that is lost is replaced by another. */
function follow(
  { nc, jsm, stream }: NatsLogOptions,
  after: number,
  onEntry: (entry: Entry) => void,
  onBroken: (error: HiveError) => void,
): Disposable {
  const over = new AbortController();
  let at = after;
  const take = (message: JsMsg) => {
    if (over.signal.aborted || message.seq <= at) return;
    at = message.seq;
    onEntry(entryOf(message.seq, message.headers, message.data));
  };
  const followOnce = async () => {
    const bounds = await answered(stream, Link.of(nc), () => boundsOf(jsm, stream));
    // An ordered consumer asked for a purged sequence silently starts later.
    if (at + 1 < bounds.first) throw compacted(at, bounds);
    const messages = await orderedMessages({ nc, stream, after: at, callback: take });
    const stop = () => messages.stop();
    over.signal.addEventListener('abort', stop);
    if (over.signal.aborted) stop();
    await messages.closed();
    over.signal.removeEventListener('abort', stop);
  };
  const run = async () => {
    for (let failures = 0; !over.signal.aborted; ) {
      const before = at;
      await followOnce().catch((error: HiveError) => {
        if (nc.isClosed() || error.code === 'OUT_OF_RANGE' || error.code === 'DATA_LOSS') throw error;
      });
      failures = at > before ? 0 : failures + 1;
      await pause(systemClock, Math.min(FIRST_RETRY_MS * 2 ** failures, LAST_RETRY_MS), over.signal);
    }
  };
  run().catch((error) => {
    if (!over.signal.aborted) onBroken(HiveError.from(error));
  });
  return disposable(() => over.abort());
}
