import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { aQuarter, twiceTheRest } from '../protocol/shares.ts';
import type { Authenticate } from './authenticate.ts';
import { type Binding, fullNameOf } from './binding.ts';
import { fileDescriptors } from './descriptors.ts';
import { type Calls, GrpcHandlers } from './grpc-handlers.ts';
import { GrpcListener } from './grpc-listener.ts';
import { checked } from './grpc-requests.ts';
import { Untaken } from './grpc-untaken.ts';
import { InFlight } from './in-flight.ts';
import type { Observe } from './observe.ts';
import { Turnstiles } from './turnstiles.ts';

export interface GrpcServerOptions {
  readonly bindings: readonly Binding[];
  readonly authenticate: Authenticate;
  /** Default 127.0.0.1: nobody else reaches it unless told otherwise. */
  readonly host?: string;
  /** 0 = a free one. */
  readonly port: number;
  readonly observe?: Observe | undefined;
  readonly clock?: Clock;
  /** Unary calls at once; more are refused with RESOURCE_EXHAUSTED, retryable. */
  readonly maxCalls?: number;
  /** Streams at once, the same: they last, and must not keep everybody else out. */
  readonly maxStreams?: number;
  /** Of one message, either way; larger ones are refused with RESOURCE_EXHAUSTED. */
  readonly maxMessageBytes?: number;
  /** Connections at once; more are closed at once. */
  readonly maxConnections?: number;
  /** By when a connection must have begun to speak HTTP/2, in milliseconds; else it is closed. */
  readonly greetingMs?: number;
  /** A client that takes nothing of what is sent to it for so long is ended with RESOURCE_EXHAUSTED, in milliseconds. */
  readonly stallMs?: number;
}

export interface GrpcServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  readonly port: number;
  /** How many are open, of people who speak HTTP/2 and of those who have yet to say so. */
  readonly connections: number;
  /** What is being worked on, and what is answered and has not been taken yet. */
  load(): { readonly calls: number; readonly streams: number; readonly untaken: number };
  /** What health checks say: of the server and of each of its services. Serving from the start. */
  setServing(serving: boolean): void;
  /** Takes no new calls, ends streams, answers what is running; what still is after `graceMs` is cut off. */
  stop(graceMs?: number): Promise<void>;
}

const DEFAULTS = {
  ...{ host: '127.0.0.1', maxCalls: 4096, maxStreams: 1024, maxMessageBytes: 4 << 20, maxConnections: 10_000 },
  ...{ greetingMs: 10_000, stallMs: 300_000 },
};
const STOP_GRACE_MS = 5000;
/** For answers that are written and not yet on their way. */
const FLUSH_MS = 200;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Serves bindings over gRPC, with the standard health check and server reflection. */
export async function serveGrpc(options: GrpcServerOptions): Promise<GrpcServer> {
  const { host, maxCalls, maxStreams, maxMessageBytes, maxConnections, greetingMs, stallMs, ...rest } = {
    ...DEFAULTS,
    ...options,
  };
  const { clock = systemClock } = rest;
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    // Also bounds what is opened and never said to its end, which no handler hears of.
    'grpc.max_concurrent_streams': maxCalls,
  });
  const calls: Calls = {
    unary: new InFlight(clock, maxCalls, twiceTheRest),
    streams: new InFlight(clock, maxStreams, aQuarter),
    untaken: new Untaken(clock, maxCalls),
    turnstiles: new Turnstiles(clock),
    clock,
    stallMs,
  };
  const names = rest.bindings.map(({ definition }) => fullNameOf(definition));
  const health = new HealthImplementation(Object.fromEntries(['', ...names].map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  new ReflectionService({ files: reflected() }, { services: names }).addToServer(server);
  for (const binding of rest.bindings) {
    const handlers = new GrpcHandlers(binding, rest.authenticate, rest.observe, calls);
    server.addService(checked(binding.definition), handlers.all());
  }
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = await GrpcListener.listen({
    ...{ host, port: rest.port, clock, maxConnections, greetingMs },
    take: (socket) => injector.injectConnection(socket),
  });
  const { port } = listener;
  const setServing = (serving: boolean) => {
    for (const name of ['', ...names]) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  };
  let stopped: Promise<void> | undefined;
  const stop = (graceMs = STOP_GRACE_MS) => {
    setServing(false);
    stopped ??= shutDown(server, listener, calls, graceMs);
    return stopped;
  };
  return {
    ...{ address: `${host}:${port}`, port, setServing, stop, [Symbol.asyncDispose]: () => stop() },
    get connections() {
      return listener.connections;
    },
    load: () => ({ calls: calls.unary.size, streams: calls.streams.size, untaken: calls.untaken.size }),
  };
}

/**
 * What reflection reads its files from. They are handed over as they are: the package's own loader loses their imports
 * and makes names relative, and then neither grpcurl nor `buf curl` finds a type.
 */
const reflected = (): MessageTypeDefinition<object, object> => ({
  format: 'Protocol Buffer 3 DescriptorProto',
  type: {},
  fileDescriptorProtos: fileDescriptors(),
  serialize: () => Buffer.alloc(0),
  deserialize: () => ({}),
});

async function shutDown(server: Server, listener: GrpcListener, calls: Calls, graceMs: number): Promise<void> {
  const { unary, streams, clock } = calls;
  const stopping = new HiveError('UNAVAILABLE', 'this server is stopping: try again');
  listener.close();
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  streams.endStreams(stopping);
  await Promise.all([unary.drain(graceMs, stopping), streams.drain(graceMs, stopping)]);
  await Promise.race([closed, pause(clock, FLUSH_MS)]);
  server.forceShutdown();
  listener.cut();
}
