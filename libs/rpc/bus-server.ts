import type { Msg, NatsConnection, Subscription } from '@nats-io/nats-core';
import { type Service, Svcm } from '@nats-io/services';
import { headerBytes } from '../bus/message.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError, quote } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { type CallHeaders, decodeHeaders, HEADERS, readCallHeaders } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { aQuarter, type Share, twiceTheRest } from '../protocol/shares.ts';
import {
  federationOf,
  isReplySubject,
  rpcBundleSubjectOfAll,
  rpcRepeatSubjectOfAll,
  rpcSubjectOfAll,
} from '../protocol/subjects.ts';
import type { Authenticate } from './authenticate.ts';
import { type Binding, invoke, type Method, type Methods, methodsOf, promised } from './binding.ts';
import { BusAnswers } from './bus-answers.ts';
import { BundledRequest, type Incoming, LoneRequest } from './bus-incoming.ts';
import { BusStream } from './bus-stream.ts';
import { type Finish, Unary } from './bus-unary.ts';
import { cameTooLate, InFlight, type Running } from './in-flight.ts';
import { correlated, type Observe, type Observed, observeRefusal } from './observe.ts';
import { requestSchema, type Schema } from './schema.ts';
import { ServerCall } from './server-call.ts';
import { SharedTerms, Term } from './term.ts';
import { Turnstiles } from './turnstiles.ts';

export interface BusServerOptions {
  readonly nc: NatsConnection;
  readonly bindings: readonly Binding[];
  readonly authenticate: Authenticate;
  /** Semantic version, told by `nats micro ls`. */
  readonly version: string;
  readonly observe?: Observe | undefined;
  readonly clock?: Clock;
  /** Unary requests at once; more are refused with RESOURCE_EXHAUSTED, retryable. */
  readonly maxRequests?: number;
  /** Streams at once, the same. */
  readonly maxStreams?: number;
  /** Larger requests are refused with RESOURCE_EXHAUSTED. */
  readonly maxRequestBytes?: number;
  /** For requests that name no deadline. */
  readonly defaultTimeoutMs?: number;
  /** A stream's client that takes nothing for so long is ended with RESOURCE_EXHAUSTED, in milliseconds. */
  readonly stallMs?: number;
}

export interface BusServer extends AsyncDisposable {
  /** Takes no new requests, ends streams, answers what is running; what still is after `graceMs` gets UNAVAILABLE. */
  stop(graceMs?: number): Promise<void>;
  /** What is being worked on. */
  load(): { readonly requests: number; readonly streams: number };
}

/** One caller who is alone may have two thirds of the requests (`shares.ts`): 4096. */
const DEFAULTS = {
  ...{ maxRequests: 6144, maxStreams: 1024, maxRequestBytes: 4 << 20, defaultTimeoutMs: 30_000, stallMs: 300_000 },
};
const STOP_GRACE_MS = 5000;
const NO_TRACE: Trace = { traceparent: '', correlationId: '', hops: 0 };

/** Serves bindings as NATS services: every method of every federation on `hive.<federation>.rpc.<service>.<Method>`. */
export async function serveBus(options: BusServerOptions): Promise<BusServer> {
  const servers = await Promise.all(options.bindings.map((binding) => BindingServer.start(binding, options)));
  const stop = async (graceMs = STOP_GRACE_MS) => {
    await Promise.all(servers.map((server) => server.stop(graceMs)));
  };
  const load = () => ({
    requests: servers.reduce((sum, { load: { requests } }) => sum + requests, 0),
    streams: servers.reduce((sum, { load: { streams } }) => sum + streams, 0),
  });
  return { stop, load, [Symbol.asyncDispose]: () => stop() };
}

/** A method with what handling it needs, compiled once. */
interface Endpoint {
  readonly method: Method;
  readonly schema: Schema;
}

/** A request that was understood and may be done. */
interface Open {
  readonly api: Methods;
  readonly call: ServerCall;
  readonly request: object;
  readonly term: Term;
  readonly share: Share;
}

class BindingServer {
  readonly #binding: Binding;
  readonly #options: BusServerOptions & typeof DEFAULTS;
  readonly #clock: Clock;
  readonly #answers: BusAnswers;
  readonly #requests: InFlight<Unary>;
  readonly #streams: InFlight<Running>;
  readonly #turnstiles: Turnstiles;
  readonly #terms = new SharedTerms();
  readonly #endpoints = new Map<string, Endpoint>();
  /** By subject, so that a subject is taken apart once. Only those that are known. */
  readonly #federations = new Map<string, string>();
  /** Reply subjects of unary requests that are running: a repeat of one is answered by the first. */
  readonly #running = new Set<string>();
  readonly #repeats: Subscription[] = [];
  #service: Service | undefined;

  static async start(binding: Binding, options: BusServerOptions): Promise<BindingServer> {
    const server = new BindingServer(binding, options);
    await server.#listen();
    return server;
  }

  constructor(binding: Binding, options: BusServerOptions) {
    this.#binding = binding;
    this.#options = { ...DEFAULTS, ...options };
    this.#clock = options.clock ?? systemClock;
    this.#answers = new BusAnswers(options.nc, binding.name, randomId(), this.#clock.now);
    this.#requests = new InFlight(this.#clock, this.#options.maxRequests, twiceTheRest);
    this.#streams = new InFlight(this.#clock, this.#options.maxStreams, aQuarter);
    this.#turnstiles = new Turnstiles(this.#clock);
  }

  async #listen(): Promise<void> {
    const { name, definition } = this.#binding;
    const { nc, version } = this.#options;
    const queue = `hivebus-${name}`;
    const description = `The ${name} service of Hivebus; the second token of a subject is the federation.`;
    this.#service = await new Svcm(nc).add({ name: queue, version, description, queue });
    for (const method of methodsOf(definition)) {
      const endpoint = { method, schema: requestSchema(method.requestType) };
      this.#endpoints.set(method.name, endpoint);
      const { requestType: request, responseType: response, kind } = method;
      const handler = this.#handler((message) => this.#onMessage(endpoint, message));
      const subject = rpcSubjectOfAll(name, method.name);
      this.#service.addEndpoint(method.name, { subject, metadata: { request, response, kind }, handler });
      this.#repeats.push(nc.subscribe(rpcRepeatSubjectOfAll(name, method.name), { callback: handler }));
    }
    const handler = this.#handler((message) => this.#onBundle(message));
    this.#service.addEndpoint('bundle', { subject: rpcBundleSubjectOfAll(name), handler });
    await nc.flush(); // from here on requests arrive
  }

  /** A federation that is not known yet is waited for, as far as there is hope. */
  #handler(handle: (message: Msg) => void): (error: Error | null, message: Msg) => void {
    return (error, message) => {
      if (error) return;
      const { subject } = message;
      const awaited = this.#federations.has(subject) ? undefined : this.#binding.awaited(federationOf(subject));
      if (awaited) void awaited.then(() => handle(message));
      else handle(message);
    };
  }

  get load(): { requests: number; streams: number } {
    return { requests: this.#requests.size, streams: this.#streams.size };
  }

  async stop(graceMs: number): Promise<void> {
    const stopping = new HiveError('UNAVAILABLE', `this ${this.#binding.name} server is stopping: try again`);
    for (const subscription of this.#repeats) subscription.unsubscribe();
    if (!this.#options.nc.isClosed()) await this.#service?.stop();
    this.#streams.endStreams(stopping);
    await Promise.all([this.#requests.drain(graceMs, stopping), this.#streams.drain(graceMs, stopping)]);
  }

  #onMessage(endpoint: Endpoint, message: Msg): void {
    if (!this.#running.has(message.reply ?? '')) this.#onRequest(endpoint, new LoneRequest(message, this.#answers));
  }

  #onBundle(message: Msg): void {
    try {
      this.#refuseUnread(message);
      for (const request of BundledRequest.allOf(message, this.#answers)) {
        const endpoint = this.#endpoints.get(request.method);
        if (endpoint?.method.kind === 'unary') this.#onRequest(endpoint, request);
        else request.fail(notBundled(request.method));
      }
    } catch (error) {
      this.#answers.fail(message.reply ?? '', HiveError.from(error), correlated(NO_TRACE));
    }
  }

  /** Throws when none of the calls would be let in, which are all of one method: what it costs to read them is most of it. */
  #refuseUnread(message: Msg): void {
    const federation = this.#federations.get(message.subject);
    if (federation === undefined || !(this.#turnstiles.areCounting || this.#requests.isCrowded)) return;
    const headers = decodeHeaders(headerBytes(message));
    const endpoint = this.#endpoints.get(headers.get(HEADERS.method) ?? '');
    if (!endpoint) return;
    const { token, trace } = readCallHeaders(headers);
    const principal = this.#options.authenticate(token, federation);
    const noPlace = this.#requests.refusal(principal, () => connectionOf(message.reply ?? ''));
    const refusal = noPlace ?? this.#turnstiles.foreseen(principal, endpoint.method.name);
    if (!refusal) return;
    observeRefusal(this.#options.observe, this.#info(endpoint.method, federation, correlated(trace)), refusal);
    throw refusal;
  }

  #onRequest(endpoint: Endpoint, incoming: Incoming): void {
    let trace = NO_TRACE;
    try {
      if (incoming.replyTo === '' || !isReplySubject(incoming.replyTo)) throw notForAnswers(incoming.replyTo);
      const headers = incoming.headers();
      trace = headers.trace;
      const open = this.#open(endpoint, incoming, headers);
      if (endpoint.method.kind === 'serverStream') this.#stream(endpoint.method, open, incoming.replyTo);
      else this.#unary(endpoint.method, open, incoming);
    } catch (error) {
      const info = this.#info(endpoint.method, federationOf(incoming.subject), correlated(trace));
      incoming.fail(HiveError.from(error), observeRefusal(this.#options.observe, info, error));
    }
  }

  #open({ method, schema }: Endpoint, incoming: Incoming, headers: CallHeaders): Open {
    if (method.kind === 'clientStream' || method.kind === 'bidi') {
      throw new HiveError('UNIMPLEMENTED', `${method.name} takes a stream, which the bus does not carry: use gRPC`);
    }
    const { subject, bytes } = incoming;
    const federation = this.#federations.get(subject) ?? federationOf(subject);
    const api = this.#binding.apiOf(federation); // before the token, which is for a federation
    this.#federations.set(subject, federation);
    const principal = this.#options.authenticate(headers.token, federation);
    const isUnary = method.kind === 'unary';
    const share = (isUnary ? this.#requests : this.#streams).room(principal, () => connectionOf(incoming.replyTo));
    if (headers.timeoutMs === 0) throw cameTooLate();
    const limit = this.#options.maxRequestBytes;
    if (bytes > limit) {
      throw new HiveError('RESOURCE_EXHAUSTED', `the request has ${bytes} bytes, at most ${limit} are taken`);
    }
    if (isUnary) this.#turnstiles.letIn(principal, method.name);
    const request = this.#read({ method, schema }, incoming, principal);
    const term = this.#term(method, headers.timeoutMs);
    return { api, call: new ServerCall(federation, principal, headers, term), request, term, share };
  }

  /** What cannot be read has ended, as far as the turnstiles go. */
  #read({ method, schema }: Endpoint, incoming: Incoming, principal: Principal): object {
    try {
      return incoming.read(schema);
    } catch (cause) {
      const error = HiveError.from(cause);
      if (method.kind === 'unary') this.#turnstiles.ended(principal, method.name, error);
      throw error;
    }
  }

  #term({ kind }: Method, timeoutMs: number | undefined): Term {
    const now = this.#clock.monotonic();
    if (kind === 'unary') return this.#terms.of(now, timeoutMs ?? this.#options.defaultTimeoutMs);
    return new Term(timeoutMs === undefined ? undefined : now + timeoutMs);
  }

  #unary(method: Method, open: Open, incoming: Incoming): void {
    const { api, call, request } = open;
    const unary = new Unary(method, open, incoming, this.#finish);
    this.#requests.add(unary);
    if (incoming.key !== '') this.#running.add(incoming.key);
    this.#observed(method, call, () => promised(api, method.key, request, call)).then(
      (answer) => this.#finish(unary, undefined, answer),
      (error: unknown) => this.#finish(unary, HiveError.from(error)),
    );
  }

  readonly #finish: Finish = (unary, error, answer) => {
    if (!this.#requests.remove(unary)) return;
    const { method, call, incoming } = unary;
    this.#running.delete(incoming.key);
    this.#turnstiles.ended(call.principal, method.name, error);
    if (error) incoming.fail(error, call.trace);
    else incoming.send(method.responseType, answer, call.trace);
  };

  #stream(method: Method, { api, call, request, term, share }: Open, to: string): void {
    const end = (error: HiveError) => call.abort(error);
    const running: Running = { deadline: term.deadline, streams: true, share, slot: -1, end };
    this.#streams.add(running);
    const stream = new BusStream(this.#options, this.#answers, to, call, this.#clock);
    this.#observed(method, call, async () => {
      const items = invoke(api, method.key, request, call);
      await stream.run(items as AsyncIterable<unknown>, method.responseType);
    })
      .catch((error: unknown) => this.#answers.fail(to, HiveError.from(error), call.trace))
      .finally(() => this.#streams.remove(running));
  }

  #observed<T>(method: Method, call: ServerCall, run: () => Promise<T>): Promise<T> {
    const { observe } = this.#options;
    if (!observe) return run();
    return observe(this.#info(method, call.federation, call.trace), () => {
      call.adoptActiveSpan();
      return run();
    });
  }

  #info({ name: method, path }: Method, federation: string, trace: Trace): Observed {
    const { name: service } = this.#binding;
    return { side: 'server', transport: 'bus', service, method, fullName: path.slice(1), federation, trace };
  }
}

/** As far as it can be told. */
const connectionOf = (replyTo: string): string => replyTo.slice(0, replyTo.lastIndexOf('.'));

/** Counted, and told to nobody: there is nowhere to say it. Nor is it done, since nobody would know of it. */
const notForAnswers = (to: string): HiveError =>
  new HiveError('INVALID_ARGUMENT', `${to === '' ? 'nothing' : quote(to)} is no subject for answers: use an inbox`);

const notBundled = (method: string): HiveError =>
  new HiveError('UNIMPLEMENTED', `there is no unary method ${quote(method)} to be called with others`);
