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
import { type CallHeaders, FEDERATION_KEY, readCallHeaders } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { Authenticate } from './authenticate.ts';
import { type Binding, fullNameOf, invoke, type Method, type Methods, methodsOf } from './binding.ts';
import { fileDescriptors } from './descriptors.ts';
import { toGrpc } from './error-wire.ts';
import { GrpcListener } from './grpc-listener.ts';
import { checked, readable, readableItems } from './grpc-requests.ts';
import { Untaken } from './grpc-untaken.ts';
import { cameTooLate, holderOf, InFlight, type Running, takesNothing, tooLate } from './in-flight.ts';
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
/** For a stream's client to take why it was ended. */
const LAST_WORDS_MS = 1000;
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
    unary: new InFlight(clock, maxCalls),
    streams: new InFlight(clock, maxStreams),
    untaken: new Untaken(clock, maxCalls),
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

/** What grpc-js has of every call. */
interface Incoming {
  readonly metadata: Metadata;
  /** It is over: answered and taken, or given up. */
  readonly cancelled: boolean;
  /** Wall clock; never = infinite. */
  getDeadline(): Date | number;
  /** The address of the connection's other end. */
  getPeer(): string;
  /** Told when it is over, however it ended. */
  on(event: 'cancelled', listener: () => void): unknown;
}

/** A call on its way, whatever its kind. */
interface Open {
  readonly api: Methods;
  readonly call: ServerCall;
}

/** What is running, bounded apart, and what is over for us and not for the client. */
interface Calls {
  readonly unary: InFlight<Running>;
  readonly streams: InFlight<Running>;
  readonly untaken: Untaken;
  readonly clock: Clock;
  readonly stallMs: number;
}

class GrpcHandlers {
  readonly #binding: Binding;
  readonly #authenticate: Authenticate;
  readonly #observe: Observe | undefined;
  readonly #calls: Calls;

  constructor(binding: Binding, authenticate: Authenticate, observe: Observe | undefined, calls: Calls) {
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
    const settle = (error: HiveError | undefined, answer?: unknown) => {
      if (settled) return;
      settled = true;
      callback(error ? toGrpc(error) : null, answer);
      this.#answered(incoming, this.#calls.stallMs);
    };
    this.#run(method, incoming, settle, async ({ api, call }) => {
      settle(undefined, await invoke(api, method.key, input(), call));
    });
  }

  #stream(method: Method, outgoing: ServerWritableStream<unknown, unknown>): void {
    const { clock, stallMs } = this.#calls;
    const fail = (error: HiveError) => {
      outgoing.emit('error', toGrpc(error));
      this.#answered(outgoing, Math.min(stallMs, LAST_WORDS_MS));
    };
    this.#run(method, outgoing, fail, async ({ api, call }) => {
      const items = invoke(api, method.key, readable(outgoing.request), call) as AsyncIterable<unknown>;
      await pump(items, call.signal, (item) => {
        if (outgoing.write(item)) return undefined;
        return new Promise<void>((resolve) => {
          const stalled = clock.after(stallMs, () => call.abort(takesNothing(stallMs)));
          outgoing.once('drain', () => {
            stalled[Symbol.dispose]();
            resolve();
          });
        });
      });
      outgoing.end();
      this.#answered(outgoing, stallMs);
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
    let trace: Trace = { traceparent: '', correlationId: '', hops: 0 };
    try {
      const headers = readCallHeaders({ get: (name) => incoming.metadata.get(name)[0]?.toString() });
      trace = headers.trace;
      const deadline = this.#deadline(incoming, headers);
      const open = this.#open(incoming, headers);
      const { call } = open;
      const end = (error: HiveError) => {
        call.abort(error);
        // A method that does not listen is answered over its head; a stream out is ended by its pump.
        if (method.kind !== 'serverStream' && calls.remove(running)) fail(error);
      };
      const running: Running = { deadline, streams: method.kind !== 'unary', end };
      calls.add(running, method.kind === 'unary' ? undefined : holderOf(call.principal, incoming.getPeer()));
      // At the deadline too, and when all is over.
      incoming.on('cancelled', () => {
        if (calls.has(running)) call.abort(leftMs(incoming) <= 0 ? tooLate() : gaveUp());
      });
      this.#observed(method, call, () => run(open))
        .catch((error: unknown) => fail(HiveError.from(error)))
        .finally(() => calls.remove(running));
    } catch (error) {
      observeRefusal(this.#observe, this.#info(method, federationIn(incoming.metadata), trace), error);
      fail(HiveError.from(error));
    }
  }

  /** From here on it is only for the client to take it. */
  #answered(incoming: Incoming, withinMs: number): void {
    if (incoming.cancelled) return;
    this.#calls.untaken.add(incoming, withinMs);
    incoming.on('cancelled', () => this.#calls.untaken.remove(incoming));
  }

  /** By the clock's `monotonic`: the caller's own deadline, and the one that it names as it would on the bus. */
  #deadline(incoming: Incoming, { timeoutMs = Number.POSITIVE_INFINITY }: CallHeaders): number {
    const ms = Math.min(leftMs(incoming), timeoutMs);
    if (ms <= 0) throw cameTooLate();
    if (incoming.cancelled) throw gaveUp(); // while its federation was waited for
    return this.#calls.clock.monotonic() + ms;
  }

  #open({ metadata }: Incoming, headers: CallHeaders): Open {
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

  #info({ name: method, path }: Method, federation: string, trace: Trace): Observed {
    const { name: service } = this.#binding;
    return { side: 'server', transport: 'grpc', service, method, fullName: path.slice(1), federation, trace };
  }
}

const leftMs = (incoming: Incoming): number => Number(incoming.getDeadline()) - Date.now();

const gaveUp = (): HiveError => new HiveError('CANCELLED', 'the client gave up');

const federationIn = (metadata: Metadata): string => metadata.get(FEDERATION_KEY)[0]?.toString() || 'main';
