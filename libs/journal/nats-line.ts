import { errors, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';
import { isReplySubject } from '../protocol/subjects.ts';
import type { Forwarded, ForwardReply, LeaderLine, Probe } from './ports.ts';

/** What goes over the line: a beat tells an epoch, with a reply subject it asks for a sign of life. */
type LineMessage = { beat: number } | { ask: Forwarded };

/** How long a forwarded command waits for its answer, in ms: the leader may be looking up an append. */
const FORWARD_TIMEOUT_MS = 5000;

/** The leader's private subject on core NATS. */
export function natsLine(nc: NatsConnection, subject: string): LeaderLine {
  return {
    listen(serve, onBeat) {
      const subscription = nc.subscribe(subject, {
        callback: (error, message) => {
          if (!error) void answer(message, serve, onBeat);
        },
      });
      return { [Symbol.dispose]: () => subscription.unsubscribe() };
    },
    async probe(epoch, timeoutMs) {
      try {
        await nc.request(subject, encode({ beat: epoch }), { timeout: timeoutMs });
        return 'alive';
      } catch (error) {
        return reasonOf(error);
      }
    },
    beat(epoch) {
      nc.publish(subject, encode({ beat: epoch }));
    },
    async forward(forwarded, signal) {
      if (signal.aborted) throw new HiveError('CANCELLED', 'the caller gave up');
      try {
        const message = await nc.request(subject, encode({ ask: forwarded }), { timeout: FORWARD_TIMEOUT_MS });
        return message.json<ForwardReply>();
      } catch (error) {
        throw reasonOf(error) === 'none'
          ? new HiveError('UNAVAILABLE', 'nobody leads at the moment; try again', { reason: 'NOBODY_LEADS' })
          : new HiveError('UNAVAILABLE', 'the leader did not answer in time', { reason: 'NO_ANSWER', cause: error });
      }
    },
  };
}

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

function reasonOf(error: unknown): Probe {
  const noResponders =
    error instanceof errors.NoRespondersError || (error instanceof errors.RequestError && error.isNoResponders());
  return noResponders ? 'none' : 'silent';
}
