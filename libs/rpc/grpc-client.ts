import { pauseAlive } from '../kernel/clock.ts';
import { HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import type { Trace } from '../protocol/machine.ts';
import type { CallOptions, Client, Definition } from './api.ts';
import { backoffMs, isBrief, leavesOpen, mayRetry } from './backoff.ts';
import { type Method, methodsOf } from './binding.ts';
import { ask, converse, receive, send, type Types } from './grpc-calls.ts';
import { type GrpcClientOptions, GrpcPeer } from './grpc-peer.ts';
import { requestSchema } from './schema.ts';
import { checkTimeout } from './times.ts';

const DEFAULT_TIMEOUT_MS = 10_000;

/** A service's methods over gRPC. Unary calls are repeated under one request id until answered or too late. Throws INVALID_ARGUMENT for times that cannot be. */
export function createGrpcClient<D extends Definition>(
  address: string,
  definition: D,
  options: GrpcClientOptions = {},
): Client<D> & AsyncDisposable {
  const peer = new GrpcPeer(address, options);
  const methods = methodsOf(definition).map((method) => [method.key, callerOf(peer, method, definition)]);
  return { ...Object.fromEntries(methods), [Symbol.asyncDispose]: async () => peer.close() };
}

type Caller = (request: never, options?: CallOptions) => Promise<unknown> | AsyncIterable<unknown>;

function callerOf(peer: GrpcPeer, method: Method, definition: Definition): Caller {
  const types = definition[method.key] as Types;
  const schema = requestSchema(method.requestType);
  switch (method.kind) {
    case 'unary':
      return async (request, options = {}) => {
        const trace = peer.trace(options);
        const run = async () => repeated(peer, method, types, schema.check(request), options, trace);
        return peer.observed(method, trace, run);
      };
    case 'serverStream':
      return (request, options = {}) => receive(peer, method, types, () => schema.check(request), options);
    case 'clientStream':
      return async (requests: AsyncIterable<object>, options = {}) => {
        const trace = peer.trace(options);
        return peer.observed(method, trace, () => send(peer, types, checked(requests, schema.check), options, trace));
      };
    case 'bidi':
      return (requests: AsyncIterable<object>, options = {}) =>
        converse(peer, method, types, peer.options.isChecked ? requests : checked(requests, schema.check), options);
  }
}

async function* checked(requests: AsyncIterable<object>, check: (value: object) => object): AsyncGenerator<object> {
  for await (const request of requests) yield check(request);
}

/** A unary call, tried until it is settled. */
async function repeated(
  peer: GrpcPeer,
  method: Method,
  types: Types,
  request: object,
  options: CallOptions,
  trace: Trace,
): Promise<unknown> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  checkTimeout(timeoutMs);
  const { clock, rng, patienceMs } = peer;
  const startedAt = clock.monotonic();
  /** Since when there is nobody, as counted from the call's beginning. */
  let nobodySinceMs: number | undefined;
  let mayBeDone = false;
  const id = peer.ids.take();
  let wasRepeated = false;
  peer.repeats.called();
  try {
    for (let tries = 1; ; tries++) {
      const passedMs = clock.monotonic() - startedAt;
      try {
        peer.checkOpen();
        const leftMs = timeoutMs - passedMs;
        return await ask(peer, types, request, peer.metadata(trace, id), leftMs, signal);
      } catch (cause) {
        const error = HiveError.from(cause);
        const delayMs = backoffMs(tries, error, rng);
        nobodySinceMs = isBrief(error) ? (nobodySinceMs ?? passedMs) : undefined;
        mayBeDone ||= error.reason === 'CONNECTION_LOST';
        const briefMs = (nobodySinceMs ?? 0) + patienceMs;
        if (!mayRetry(error, clock.monotonic() - startedAt, delayMs, { timeoutMs, briefMs }, wasRepeated)) {
          if (error.code === 'DEADLINE_EXCEEDED' || leavesOpen(error, wasRepeated))
            throw tooLate(method, timeoutMs, error);
          throw mayBeDone && error.code === 'UNAVAILABLE' ? brokeOff(method, error) : error;
        }
        wasRepeated ||= !isForWantOfRoom(error);
        if (!wasRepeated && !peer.repeats.take(clock.monotonic())) throw error; // others of ours wait for a place already
        await pauseAlive(clock, delayMs, signal);
      }
    }
  } finally {
    peer.ids.release(id);
  }
}

/** The connection was lost while it was asked: whoever was there may have done it. */
const brokeOff = (method: Method, cause: HiveError): HiveError =>
  new HiveError('DEADLINE_EXCEEDED', `no answer from ${method.name}, which may have happened: ${cause.message}`, {
    cause,
  });

function tooLate(method: Method, timeoutMs: number, cause: HiveError): HiveError {
  const message = `no answer from ${method.name} within ${timeoutMs} ms; what was asked may have happened`;
  return new HiveError('DEADLINE_EXCEEDED', message, { cause });
}
