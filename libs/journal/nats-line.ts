import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { SpanKind } from '@opentelemetry/api';
import { Link } from '../bus/link.ts';
import { isNoResponders, nobodyListened } from '../bus/message.ts';
import { ReplyBox } from '../bus/reply-box.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { disposable } from '../kernel/disposable.ts';
import { HiveError } from '../kernel/errors.ts';
import { isReplySubject } from '../protocol/subjects.ts';
import { messaging } from '../telemetry/attributes.ts';
import { failSpan, startSampled, traceparentOf } from '../telemetry/span.ts';
import type { Forwarded, ForwardReply, LeaderLine, Probe } from './ports.ts';

/** What goes over the line: a beat tells an epoch, with a reply subject it asks for a sign of life. */
type LineMessage = { beat: number } | { ask: Forwarded };

/** How long a forwarded command waits for its answer, in ms: the leader may be looking up an append. */
const FORWARD_TIMEOUT_MS = 5000;

/** After an outage others get so long, in ms, to be connected again before they are said to be gone. */
const SETTLE_MS = 1000;

/** The leader's private subject on core NATS. */
export function natsLine(nc: NatsConnection, subject: string, clock: Clock = systemClock): LeaderLine {
  const link = Link.of(nc);
  return {
    listen(serve, onBeat) {
      const subscription = nc.subscribe(subject, {
        callback: (error, message) => {
          if (!error) void answer(message, serve, onBeat);
        },
      });
      return disposable(() => subscription.unsubscribe());
    },
    async probe(epoch, timeoutMs) {
      if (!link.stands || nc.isClosed()) return 'deaf';
      const heard = await ask(nc, subject, encode({ beat: epoch }), timeoutMs, clock);
      return heard !== 'alive' && link.standsForMs() < SETTLE_MS ? 'deaf' : heard;
    },
    beat(epoch) {
      nc.publish(subject, encode({ beat: epoch }));
    },
    async forward(forwarded, signal) {
      if (signal.aborted) throw new HiveError('CANCELLED', 'the caller gave up');
      const { trace } = forwarded;
      const attributes = messaging({ name: 'forward', type: 'send', subject, trace });
      const span = startSampled(`forward ${subject}`, trace.traceparent, { kind: SpanKind.CLIENT, attributes });
      const from = { ...trace, traceparent: traceparentOf(span, trace.traceparent) };
      try {
        const ask = encode({ ask: { ...forwarded, trace: from } });
        const message = await nc.request(subject, ask, { timeout: FORWARD_TIMEOUT_MS });
        return message.json<ForwardReply>();
      } catch (cause) {
        const error = unanswered(cause);
        if (span) failSpan(span, error);
        throw error;
      } finally {
        span?.end();
      }
    },
  };
}

/**
 * Asks for a sign of life. When this process was busy, the answer may lie in the socket by the time that the timer runs:
 * it is read before it is said to be missing, so that a slow standby does not take the leader for a silent one.
 */
function ask(nc: NatsConnection, subject: string, body: Buffer, timeoutMs: number, clock: Clock): Promise<Probe> {
  const box = ReplyBox.of(nc);
  return new Promise((resolve) => {
    const end = (heard: Probe) => {
      box.close(reply);
      timer[Symbol.dispose]();
      resolve(heard);
    };
    const reply = box.open((message) => end(isNoResponders(message) ? 'none' : 'alive'));
    const timer = clock.after(timeoutMs, () => clock.defer(() => end('silent')));
    nc.publish(subject, body, { reply });
  });
}

const unanswered = (cause: unknown): HiveError =>
  nobodyListened(cause)
    ? new HiveError('UNAVAILABLE', 'nobody leads at the moment; try again', { reason: 'NOBODY_LEADS' })
    : new HiveError('UNAVAILABLE', 'the leader did not answer in time', { reason: 'NO_ANSWER', cause });

const encode = (message: LineMessage): Buffer => Buffer.from(JSON.stringify(message));

async function answer(
  message: Msg,
  serve: (forwarded: unknown) => Promise<ForwardReply>,
  onBeat: (epoch: number) => void,
): Promise<void> {
  const reply = (body: unknown) => {
    if (message.reply && isReplySubject(message.reply)) message.respond(Buffer.from(JSON.stringify(body)));
  };
  const said = parse(message);
  if (said?.ask !== undefined) reply(await serve(said.ask));
  else if (Number.isSafeInteger(said?.beat)) {
    reply({});
    onBeat(said?.beat as number);
  } else reply({ error: new HiveError('INVALID_ARGUMENT', 'not a message between replicas').toJSON() });
}

/** What anybody may have sent. */
function parse(message: Msg): { beat?: unknown; ask?: unknown } | undefined {
  try {
    const said: unknown = message.json();
    return typeof said === 'object' && said !== null ? said : undefined;
  } catch {
    return undefined;
  }
}
