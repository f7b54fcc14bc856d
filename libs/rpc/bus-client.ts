import type { NatsConnection } from '@nats-io/nats-core';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError, invalid } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import type { Trace } from '../protocol/machine.ts';
import { RequestIds } from '../protocol/request-ids.ts';
import type { CallOptions, Client, Definition } from './api.ts';
import { type Method, methodsOf } from './binding.ts';
import { BusItems } from './bus-items.ts';
import { BusOutbox } from './bus-outbox.ts';
import type { Answer, BusPeer } from './bus-peer.ts';
import { type BusMethod, BusRequest } from './bus-request.ts';
import { type Observe, type Observed, traceOfCall } from './observe.ts';
import { RepeatBudget } from './repeat-budget.ts';
import { responseSchema, type Schema } from './schema.ts';
import { StreamProbes } from './stream-probe.ts';
import { timeFaults } from './times.ts';

export interface BusClientOptions {
  readonly federation: string;
  /** A valid token at any time; left out: anonymous. */
  readonly token?: () => string;
  /** A name for people, in request ids and `ce-source`; the ids are unique without it. */
  readonly clientId?: string;
  /** The message that is being handled while a call is made, if any. */
  readonly trace?: () => Trace | undefined;
  readonly observe?: Observe | undefined;
  readonly clock?: Clock;
  readonly rng?: Rng;
  /** How long to wait for an answer before the request is sent again, in milliseconds; doubles each time. */
  readonly attemptMs?: number;
  /** How long to go on when nobody serves, in milliseconds: a service that restarts comes back within it. */
  readonly patienceMs?: number;
}

/** A service's methods over the bus. Calls are repeated under one request id until answered or too late. Throws INVALID_ARGUMENT for times that cannot be. */
export function createBusClient<D extends Definition>(
  nc: NatsConnection,
  service: string,
  definition: D,
  options: BusClientOptions,
): Client<D> {
  const { federation, token = () => '', clientId = 'client', trace = () => undefined, observe } = options;
  const { clock = systemClock, rng = Math.random, attemptMs = 150, patienceMs = 2000 } = options;
  const faults = [...timeFaults('attemptMs', attemptMs, 1), ...timeFaults('patienceMs', patienceMs)];
  if (faults.length > 0) throw invalid(faults);
  const source = `/hivebus/clients/${clientId}`;
  const ids = new RequestIds(clientId);
  const repeats = new RepeatBudget(clock.monotonic());
  const peer: BusPeer = {
    nc,
    service,
    federation,
    source,
    ids,
    repeats,
    probes: new StreamProbes(clock),
    token,
    trace,
    clock,
    rng,
    attemptMs,
    patienceMs,
  };
  const outbox = new BusOutbox(peer);
  const methods = methodsOf(definition).map((method) => [method.key, callerOf(peer, outbox, method, observe)]);
  return Object.fromEntries(methods);
}

type Caller = (request: object, options?: CallOptions) => Promise<object> | AsyncIterable<object>;

function callerOf(peer: BusPeer, outbox: BusOutbox, method: Method, observe: Observe | undefined): Caller {
  const schema = responseSchema(method.responseType);
  switch (method.kind) {
    case 'unary':
      return callerOnce({ peer, outbox, method, decode: (answer) => decode(schema, answer) }, observe);
    case 'serverStream':
      return (request, options = {}) => items(peer, method, schema, request, options, observe);
    default: {
      const message = `${method.name} takes a stream, which the bus does not carry: use gRPC`;
      return () => Promise.reject(new HiveError('UNIMPLEMENTED', message));
    }
  }
}

/** Not async, and nor is what it calls: each promise more would cost a call as much as its request id. */
function callerOnce(to: BusMethod, observe: Observe | undefined): Caller {
  const { peer, method } = to;
  return (request, options = {}) => {
    try {
      const trace = traceOfCall(options.trace ?? peer.trace());
      const run = () => BusRequest.send(to, request, options, trace);
      return observe ? observe(infoOf(peer, method, trace), run) : run();
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

async function* items(
  peer: BusPeer,
  method: Method,
  schema: Schema,
  request: object,
  options: CallOptions,
  observe: Observe | undefined,
): AsyncGenerator<object> {
  const trace = traceOfCall(options.trace ?? peer.trace());
  let ended: (error?: unknown) => void = () => {};
  const stream = await new Promise<BusItems>((resolve, reject) => {
    // The span lasts as long as the stream; only its beginning is within it.
    const run = async () => {
      resolve(new BusItems(peer, method, request, options, trace));
      const error = await new Promise<unknown>((done) => {
        ended = done;
      });
      if (error) throw error;
    };
    (observe ? observe(infoOf(peer, method, trace), run) : run()).catch(reject);
  });
  try {
    for await (const message of stream) yield decode(schema, message);
    ended();
  } catch (error) {
    ended(error);
    throw error;
  } finally {
    ended();
  }
}

function decode(schema: Schema, answer: Answer): object {
  try {
    return 'value' in answer ? schema.check(answer.value) : schema.decode(answer.data);
  } catch (cause) {
    const why = HiveError.from(cause).message;
    throw new HiveError('INTERNAL', `the service answered with something that is no ${schema.typeName}: ${why}`, {
      cause,
    });
  }
}

function infoOf({ service, federation }: BusPeer, { name, path }: Method, trace: Trace): Observed {
  return { side: 'client', transport: 'bus', service, method: name, fullName: path.slice(1), federation, trace };
}
