import type {
  ClientDuplexStream,
  ClientReadableStream,
  ClientWritableStream,
  Metadata,
  ServiceError,
} from '@grpc/grpc-js';
import { offAbort, onAbort } from '../kernel/aborts.ts';
import { disposable } from '../kernel/disposable.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Trace } from '../protocol/machine.ts';
import type { CallOptions, Definition } from './api.ts';
import type { Method } from './binding.ts';
import type { GrpcPeer } from './grpc-peer.ts';
import { checkTimeout } from './times.ts';

/** One call of each kind over gRPC, as promises and iterables. */

/** What a generated definition says of one method. */
export type Types = Definition[string];

/** Ties a call to the caller's signal; dispose it when the call is over. */
function cancelling(call: { cancel(): void }, signal: AbortSignal | undefined): Disposable {
  if (!signal) return FREE;
  const cancel = () => call.cancel();
  if (signal.aborted) cancel();
  onAbort(signal, cancel);
  return disposable(() => offAbort(signal, cancel));
}

const FREE = disposable(() => {});

const deadlineIn = (timeoutMs: number | undefined): { deadline?: number } =>
  timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };

/** Asks once. */
export function ask(
  peer: GrpcPeer,
  types: Types,
  request: object,
  metadata: Metadata,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = types;
    const call = peer.channel.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      deadlineIn(timeoutMs),
      (error, answer) => {
        tie[Symbol.dispose]();
        if (error) reject(peer.error(error, signal));
        else resolve(answer);
      },
    );
    const tie = cancelling(call, signal);
  });
}

/** Asks for a stream of messages. */
export function receive(
  peer: GrpcPeer,
  method: Method,
  types: Types,
  request: () => object,
  options: CallOptions,
): AsyncGenerator<unknown> {
  const { path, requestSerialize, responseDeserialize } = types;
  const begin: Begin = (metadata, deadline) =>
    peer.channel.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request(), metadata, deadline);
  return items(peer, method, options, begin);
}

/** Sends a stream of messages and gives the other side's, as they come. */
export function converse(
  peer: GrpcPeer,
  method: Method,
  types: Types,
  requests: AsyncIterable<object>,
  options: CallOptions,
): AsyncGenerator<unknown> {
  const { path, requestSerialize, responseDeserialize } = types;
  const begin: Begin = (metadata, deadline) => {
    const { channel } = peer;
    const call = channel.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, deadline);
    // The items themselves failed: the other side is told by the stream's end, whoever reads here by its error.
    writeAll(call, requests).catch((error: unknown) => call.destroy(HiveError.from(error)));
    return call;
  };
  return items(peer, method, options, begin);
}

type Begin = (metadata: Metadata, deadline: { deadline?: number }) => ClientReadableStream<unknown>;

/** The items of a stream that `begin` opens. */
async function* items(peer: GrpcPeer, method: Method, options: CallOptions, begin: Begin): AsyncGenerator<unknown> {
  const trace = peer.trace(options);
  let ended: (error?: HiveError) => void = () => {};
  const call = await new Promise<ClientReadableStream<unknown>>((resolve, reject) => {
    // The span lasts as long as the stream; only its beginning is within it.
    const run = async () => {
      peer.checkOpen();
      checkTimeout(options.timeoutMs);
      resolve(begin(peer.metadata(trace), deadlineIn(options.timeoutMs)));
      const error = await new Promise<HiveError | undefined>((done) => {
        ended = done;
      });
      if (error) throw error;
    };
    peer.observed(method, trace, run).catch(reject);
  });
  using _ = cancelling(call, options.signal);
  using _closing = cancelling(call, peer.closing);
  try {
    yield* call;
  } catch (cause) {
    const error = cause instanceof HiveError ? cause : peer.error(cause as ServiceError, options.signal);
    ended(error);
    throw error;
  } finally {
    call.cancel();
    ended();
  }
}

/** Sends a stream of messages for one answer. */
export function send(
  peer: GrpcPeer,
  types: Types,
  requests: AsyncIterable<object>,
  options: CallOptions,
  trace: Trace,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    peer.checkOpen();
    checkTimeout(options.timeoutMs);
    const { path, requestSerialize, responseDeserialize } = types;
    const call = peer.channel.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      peer.metadata(trace),
      deadlineIn(options.timeoutMs),
      (error, answer) => {
        for (const tie of ties) tie[Symbol.dispose]();
        if (error) reject(peer.error(error, options.signal));
        else resolve(answer);
      },
    );
    const ties = [cancelling(call, options.signal), cancelling(call, peer.closing)];
    writeAll(call, requests).catch((error: unknown) => {
      reject(HiveError.from(error)); // the items themselves failed
      call.cancel();
    });
  });
}

type Writing = ClientWritableStream<unknown> | ClientDuplexStream<unknown, unknown>;

/** Writes all items as fast as they are taken; ends early when the call is over. */
async function writeAll(call: Writing, requests: AsyncIterable<object>): Promise<void> {
  let over = false;
  call.on('status', () => {
    over = true;
  });
  for await (const request of requests) {
    if (over) return;
    if (call.write(request)) continue;
    await new Promise<void>((resolve) => {
      call.once('drain', resolve);
      call.once('status', () => resolve());
    });
  }
  call.end();
}
