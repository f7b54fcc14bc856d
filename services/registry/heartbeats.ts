import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { headerBytes } from '../../libs/bus/message.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import type { Call } from '../../libs/protocol/call.ts';
import {
  decodeHeaders,
  encodeLines,
  eventLines,
  HEADERS,
  nextHop,
  readCallHeaders,
  traceLines,
} from '../../libs/protocol/envelope.ts';
import { heartbeatSubject, swarmHeartbeatsOfAll } from '../../libs/protocol/subjects.ts';
import type { Authenticate } from '../../libs/rpc/authenticate.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import type { HeartbeatRequest } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { mayBeat } from './core/access.ts';
import type { RegistryShape } from './core/state.ts';
import type { LivenessMonitor } from './liveness-monitor.ts';
import { checkHeartbeat } from './validation.ts';

const TYPE = 'hivebus.registry.v1.HeartbeatRequest';

export interface HeartbeatDeps {
  readonly nc: NatsConnection;
  readonly journal: Journal<RegistryShape>;
  readonly monitor: LivenessMonitor;
  readonly authenticate: Authenticate;
  /** Told of each message that was not taken. */
  readonly ignored: (what: 'heartbeat', why: HiveError) => void;
}

/** Takes the heartbeats of all swarms of the journal's federation. Nobody is answered: who cares calls Heartbeat. */
export function listenToHeartbeats(deps: HeartbeatDeps): Disposable {
  const { nc, journal, monitor, authenticate, ignored } = deps;
  const { federation } = journal;
  const schema = requestSchema(TYPE);

  const take = (message: Msg): void => {
    const { token } = readCallHeaders(decodeHeaders(headerBytes(message)));
    const principal = authenticate(token, federation);
    const request = schema.decode(message.data) as HeartbeatRequest;
    checkHeartbeat(request);
    if (message.subject !== heartbeatSubject(federation, request.swarm)) throw otherSubject(message, request);
    monitor.beat(mayBeat(journal.state, request.swarm, principal), request.load);
  };

  const subscription = nc.subscribe(swarmHeartbeatsOfAll(federation), {
    callback: (error, message) => {
      if (error) return;
      try {
        take(message);
      } catch (why) {
        ignored('heartbeat', HiveError.from(why));
      }
    },
  });
  return disposable(() => subscription.unsubscribe());
}

const otherSubject = (message: Msg, { swarm }: HeartbeatRequest): HiveError =>
  new HiveError('INVALID_ARGUMENT', `a heartbeat of swarm ${quote(swarm)} came on ${message.subject}`);

/** Puts a heartbeat that came as a call on the bus, where every replica hears it, with the token that proves it. */
export function heartbeatPasser(nc: NatsConnection, federation: string, clock: Clock) {
  const instance = randomId();
  let count = 0;
  return (request: HeartbeatRequest, call: Call): void => {
    const event = { id: `${instance}-${++count}`, type: TYPE, source: '/hivebus/registry', timeMs: clock.now() };
    const authorization = `${HEADERS.authorization}: Bearer ${call.token}\r\n`;
    const headers = encodeLines(eventLines(event) + traceLines(nextHop(call.trace)) + authorization);
    const body = Buffer.from(JSON.stringify({ swarm: request.swarm, load: request.load }));
    nc.publish(heartbeatSubject(federation, request.swarm), body, { headers: rawHeaders(headers) });
  };
}
