import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { headerBytes } from '../../libs/bus/message.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { decodeHeaders, readCallHeaders } from '../../libs/protocol/envelope.ts';
import { discoverySubject } from '../../libs/protocol/subjects.ts';
import type { Authenticate } from '../../libs/rpc/authenticate.ts';
import { BusAnswers } from '../../libs/rpc/bus-answers.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import { ServerCall } from '../../libs/rpc/server-call.ts';
import type { DiscoveryAnswer, DiscoveryMessage } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import type { RegistryApi } from './api.ts';
import { checkDiscovery } from './validation.ts';

export interface DiscoveryDeps {
  readonly nc: NatsConnection;
  readonly federation: string;
  readonly api: Pick<RegistryApi, 'registerSwarm' | 'listSwarms'>;
  readonly authenticate: Authenticate;
  readonly clock: Clock;
  /** Told of each message that could not be done. */
  readonly ignored: (what: 'discovery', why: HiveError) => void;
}

/** Replicas share the work: each message is handled by one of them. */
const QUEUE = 'hivebus-registry';
const NO_TRACE = { traceparent: '', correlationId: '-', hops: 0 };

/** A federation's discovery subject: swarms announce themselves, or ask who is there. */
export function listenToDiscovery(deps: DiscoveryDeps): Disposable {
  const { nc, federation, ignored } = deps;
  const answers = new BusAnswers(nc, 'registry', randomId(), deps.clock.now);
  const schema = requestSchema('hivebus.registry.v1.DiscoveryMessage');

  const answer = async (message: Msg): Promise<void> => {
    const to = message.reply ?? '';
    let trace = NO_TRACE;
    try {
      const headers = readCallHeaders(decodeHeaders(headerBytes(message)));
      trace = headers.trace;
      const call = new ServerCall(federation, deps.authenticate(headers.token, federation), headers);
      const request = schema.decode(message.data) as DiscoveryMessage;
      const found = await discover(deps.api, request, call);
      answers.send(to, 'hivebus.registry.v1.DiscoveryAnswer', found, trace);
    } catch (error) {
      const why = HiveError.from(error);
      ignored('discovery', why);
      answers.fail(to, why, trace);
    }
  };

  const subscription = nc.subscribe(discoverySubject(federation), {
    queue: QUEUE,
    callback: (error, message) => {
      if (!error) void answer(message);
    },
  });
  return disposable(() => subscription.unsubscribe());
}

async function discover(
  api: DiscoveryDeps['api'],
  message: DiscoveryMessage,
  call: ServerCall,
): Promise<DiscoveryAnswer> {
  checkDiscovery(message);
  const { announce, query } = message;
  if (announce) return { registered: await api.registerSwarm(announce, call) };
  if (query) return { swarms: await api.listSwarms(query, call) };
  throw new HiveError('INTERNAL', 'a discovery message was checked and is empty');
}
