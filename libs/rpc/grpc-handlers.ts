import type {
  Metadata,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
  UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { type CallHeaders, FEDERATION_KEY, readCallHeaders } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { Authenticate } from './authenticate.ts';
import { type Binding, invoke, type Method, type Methods, methodsOf } from './binding.ts';
import { toGrpc } from './error-wire.ts';
import { readable, readableItems } from './grpc-requests.ts';
import type { Untaken } from './grpc-untaken.ts';
import { cameTooLate, type InFlight, type Running, takesNothing, tooLate } from './in-flight.ts';
import { pump } from './interruptible.ts';
import { type Observe, type Observed, observeRefusal } from './observe.ts';
import { ServerCall } from './server-call.ts';
import type { Turnstiles } from './turnstiles.ts';

/** For a stream's client to take why it was ended. */
const LAST_WORDS_MS = 1000;

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

type Outgoing = ServerWritableStream<unknown, unknown> | ServerDuplexStream<unknown, unknown>;

/** A call on its way, whatever its kind. */
interface Open {
  readonly api: Methods;
  readonly call: ServerCall;
}

/** What is running, bounded apart, and what is over for us and not for the client. */
export interface Calls {
  readonly unary: InFlight<Running>;
  readonly streams: InFlight<Running>;
  readonly untaken: Untaken;
  readonly turnstiles: Turnstiles;
  readonly clock: Clock;
  readonly stallMs: number;
}

/** A binding's methods as grpc-js calls them. */
export class GrpcHandlers {
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
        return (outgoing: ServerWritableStream<unknown, unknown>) =>
          this.#stream(method, outgoing, () => readable(outgoing.request));
      case 'bidi':
        return (both: ServerDuplexStream<unknown, unknown>) => this.#stream(method, both, () => readableItems(both));
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

  #stream(method: Method, outgoing: Outgoing, input: () => unknown): void {
    const { clock, stallMs } = this.#calls;
    const fail = (error: HiveError) => {
      outgoing.emit('error', toGrpc(error));
      this.#answered(outgoing, Math.min(stallMs, LAST_WORDS_MS));
    };
    this.#run(method, outgoing, fail, async ({ api, call }) => {
      const items = invoke(api, method.key, input(), call) as AsyncIterable<unknown>;
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
      const isUnary = method.kind === 'unary';
      const share = calls.room(call.principal, () => incoming.getPeer());
      if (isUnary) this.#calls.turnstiles.letIn(call.principal, method.name);
      const ended = (error?: HiveError) => {
        if (isUnary) this.#calls.turnstiles.ended(call.principal, method.name, error);
      };
      const end = (error: HiveError) => {
        call.abort(error);
        // A method that does not listen is answered over its head; a stream out is ended by its pump.
        if (!isPumped(method) && calls.remove(running)) fail(error);
      };
      const running: Running = { deadline, streams: !isUnary, share, slot: -1, end };
      calls.add(running);
      // At the deadline too, and when all is over.
      incoming.on('cancelled', () => {
        if (calls.has(running)) call.abort(leftMs(incoming) <= 0 ? tooLate() : gaveUp());
      });
      this.#observed(method, call, () => run(open))
        .then(
          () => ended(),
          (cause: unknown) => {
            const error = HiveError.from(cause);
            ended(error);
            fail(error);
          },
        )
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

const isPumped = ({ kind }: Method): boolean => kind === 'serverStream' || kind === 'bidi';

const leftMs = (incoming: Incoming): number => Number(incoming.getDeadline()) - Date.now();

const gaveUp = (): HiveError => new HiveError('CANCELLED', 'the client gave up');

const federationIn = (metadata: Metadata): string => metadata.get(FEDERATION_KEY)[0]?.toString() || 'main';
