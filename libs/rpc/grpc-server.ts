import { createServer } from 'node:net';
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { FEDERATION_KEY, readCallHeaders } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { Authenticate } from './authenticate.ts';
import { type Binding, fullNameOf, invoke, type Method, type Methods, methodsOf } from './binding.ts';
import { fileDescriptors } from './descriptors.ts';
import { toGrpc } from './error-wire.ts';
import { checked, readable, readableItems } from './grpc-requests.ts';
import { InFlight, type Running } from './in-flight.ts';
import { pump } from './interruptible.ts';
import { type Observe, type Observed, observeRefusal } from './observe.ts';
import { ServerCall } from './server-call.ts';

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
}

export interface GrpcServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  readonly port: number;
  /** What health checks say: of the server and of each of its services. Serving from the start. */
  setServing(serving: boolean): void;
  /** Takes no new calls, ends streams, answers what is running; what still is after `graceMs` is cut off. */
  stop(graceMs?: number): Promise<void>;
}

const DEFAULTS = { host: '127.0.0.1', maxCalls: 4096, maxStreams: 1024, maxMessageBytes: 4 << 20 };
const STOP_GRACE_MS = 5000;
/** For answers that are written and not yet on their way. */
const FLUSH_MS = 200;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Serves bindings over gRPC, with the standard health check and server reflection. */
export async function serveGrpc(options: GrpcServerOptions): Promise<GrpcServer> {
  const { host, maxCalls, maxStreams, maxMessageBytes, clock = systemClock, ...rest } = { ...DEFAULTS, ...options };
  const server = new Server({
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    // Also bounds what is opened and never said to its end, which no handler hears of.
    'grpc.max_concurrent_streams': maxCalls,
  });
  const calls: InFlights = { unary: new InFlight(clock, maxCalls), streams: new InFlight(clock, maxStreams) };
  const names = rest.bindings.map(({ definition }) => fullNameOf(definition));
  const health = new HealthImplementation(Object.fromEntries(['', ...names].map((name) => [name, 'SERVING'])));
  health.addToServer(server);
  new ReflectionService({ files: reflected() }, { services: names }).addToServer(server);
  for (const binding of rest.bindings) {
    const handlers = new GrpcHandlers(binding, rest.authenticate, rest.observe, calls);
    server.addService(checked(binding.definition), handlers.all());
  }
  const port = await listen(server, host, rest.port);
  const setServing = (serving: boolean) => {
    for (const name of ['', ...names]) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
  };
  let stopped: Promise<void> | undefined;
  const stop = (graceMs = STOP_GRACE_MS) => {
    setServing(false);
    stopped ??= shutDown(server, calls, clock, graceMs);
    return stopped;
  };
  return { address: `${host}:${port}`, port, setServing, stop, [Symbol.asyncDispose]: () => stop() };
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

async function shutDown(server: Server, { unary, streams }: InFlights, clock: Clock, graceMs: number): Promise<void> {
  const stopping = new HiveError('UNAVAILABLE', 'this server is stopping: try again');
  const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  streams.endStreams(stopping);
  await Promise.all([unary.drain(graceMs, stopping), streams.drain(graceMs, stopping)]);
  await Promise.race([closed, pause(clock, FLUSH_MS)]);
  server.forceShutdown();
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  // gRPC tells of a port in use only in prose, so it is asked for before.
  if (port !== 0) await checkFree(host, port);
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, ServerCredentials.createInsecure(), (cause, bound) => {
      if (!cause) return resolve(bound);
      const message = `cannot serve gRPC on ${host}:${port}: ${cause.message}`;
      reject(new HiveError('FAILED_PRECONDITION', message, { cause }));
    });
  });
}

function checkFree(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === 'EADDRINUSE';
      const why = inUse ? 'something already listens there' : cause.message;
      const message = `cannot serve gRPC on ${host}:${port}: ${why}; end it, or choose another address`;
      reject(new HiveError('FAILED_PRECONDITION', message, { cause, reason: inUse ? 'PORT_IN_USE' : 'BAD_ADDRESS' }));
    });
    probe.listen(port, host, () => probe.close(() => resolve()));
  });
}

/** What grpc-js has of every call. */
interface Incoming {
  readonly metadata: Metadata;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** A call on its way, whatever its kind. */
interface Open {
  readonly api: Methods;
  readonly call: ServerCall;
}

/** What is running, bounded apart. */
interface InFlights {
  readonly unary: InFlight<Running>;
  readonly streams: InFlight<Running>;
}

class GrpcHandlers {
  readonly #binding: Binding;
  readonly #authenticate: Authenticate;
  readonly #observe: Observe | undefined;
  readonly #calls: InFlights;

  constructor(binding: Binding, authenticate: Authenticate, observe: Observe | undefined, calls: InFlights) {
    this.#binding = binding;
    this.#authenticate = authenticate;
    this.#observe = observe;
    this.#calls = calls;
  }

  all(): UntypedServiceImplementation {
    const handlers = methodsOf(this.#binding.definition).map((method) => [method.key, this.#handler(method)]);
    return Object.fromEntries(handlers);
  }

  #handler(method: Method): UntypedServiceImplementation[string] {
    switch (method.kind) {
      case 'unary':
        return (incoming: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) =>
          this.#answer(method, incoming, callback, () => readable(incoming.request));
      case 'clientStream':
        return (incoming: ServerReadableStream<unknown, unknown>, callback: sendUnaryData<unknown>) =>
          this.#answer(method, incoming, callback, () => readableItems(incoming));
      case 'serverStream':
        return (outgoing: ServerWritableStream<unknown, unknown>) => this.#stream(method, outgoing);
      case 'bidi':
        throw new Error(`${method.path}: streams both ways are not supported`);
    }
  }

  /** Answers with one message. `input` gives the request, or throws. */
  #answer(method: Method, incoming: Incoming, callback: sendUnaryData<unknown>, input: () => unknown): void {
    let settled = false;
    const fail = (error: HiveError) => {
      if (!settled) callback(toGrpc(error));
      settled = true;
    };
    this.#run(method, incoming, fail, async ({ api, call }) => {
      const answer = await invoke(api, method.key, input(), call);
      if (!settled) callback(null, answer);
      settled = true;
    });
  }

  #stream(method: Method, outgoing: ServerWritableStream<unknown, unknown>): void {
    const fail = (error: HiveError) => void outgoing.emit('error', toGrpc(error));
    this.#run(method, outgoing, fail, async ({ api, call }) => {
      const items = invoke(api, method.key, readable(outgoing.request), call) as AsyncIterable<unknown>;
      await pump(items, call.signal, (item) => {
        if (outgoing.write(item)) return undefined;
        return new Promise<void>((resolve) => outgoing.once('drain', resolve));
      });
      outgoing.end();
    });
  }

  #run(method: Method, incoming: Incoming, fail: (error: HiveError) => void, run: (open: Open) => Promise<void>): void {
    const awaited = this.#binding.awaited(federationIn(incoming.metadata));
    if (awaited) void awaited.then(() => this.#runNow(method, incoming, fail, run));
    else this.#runNow(method, incoming, fail, run);
  }

  #runNow(
    method: Method,
    incoming: Incoming,
    fail: (error: HiveError) => void,
    run: (open: Open) => Promise<void>,
  ): void {
    const calls = method.kind === 'unary' ? this.#calls.unary : this.#calls.streams;
    try {
      const open = this.#open(incoming);
      const { call } = open;
      const end = (error: HiveError) => {
        call.abort(error);
        // A method that does not listen is answered over its head; a stream out is ended by its pump.
        if (method.kind !== 'serverStream' && calls.remove(running)) fail(error);
      };
      const running: Running = { deadline: Number.POSITIVE_INFINITY, streams: method.kind !== 'unary', end };
      calls.add(running);
      // At the deadline too.
      incoming.on('cancelled', () => call.abort(new HiveError('CANCELLED', 'the client gave up')));
      this.#observed(method, call, () => run(open))
        .catch((error: unknown) => fail(HiveError.from(error)))
        .finally(() => calls.remove(running));
    } catch (error) {
      const trace = { traceparent: '', correlationId: '', hops: 0 };
      observeRefusal(this.#observe, this.#info(method, federationIn(incoming.metadata), trace), error);
      fail(HiveError.from(error));
    }
  }

  #open({ metadata }: Incoming): Open {
    const get = (name: string) => metadata.get(name)[0]?.toString();
    const headers = readCallHeaders({ get });
    const federation = federationIn(metadata);
    const api = this.#binding.apiOf(federation); // before the token, which is for a federation
    const principal = this.#authenticate(headers.token, federation);
    return { api, call: new ServerCall(federation, principal, headers) };
  }

  #observed(method: Method, call: ServerCall, run: () => Promise<void>): Promise<void> {
    if (!this.#observe) return run();
    return this.#observe(this.#info(method, call.federation, call.trace), () => {
      call.adoptActiveSpan();
      return run();
    });
  }

  #info(method: Method, federation: string, trace: Trace): Observed {
    return { side: 'server', transport: 'grpc', service: this.#binding.name, method: method.name, federation, trace };
  }
}

const federationIn = (metadata: Metadata): string => metadata.get(FEDERATION_KEY)[0]?.toString() || 'main';
