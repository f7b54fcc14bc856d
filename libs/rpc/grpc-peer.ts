import { Client as Channel, Metadata, type ServiceError } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError, invalid } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import type { RequestId } from '../protocol/call.ts';
import { FEDERATION_KEY, HEADERS } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { RequestIds } from '../protocol/request-ids.ts';
import type { CallOptions } from './api.ts';
import type { Method } from './binding.ts';
import { ERROR_KEY, fromGrpc } from './error-wire.ts';
import { GreetedCredentials, neverSent } from './grpc-greeting.ts';
import { fromActiveSpan, type Observe, traceOfCall } from './observe.ts';
import { RepeatBudget } from './repeat-budget.ts';
import { timeFaults } from './times.ts';

export interface GrpcClientOptions {
  /** Default `main`. */
  readonly federation?: string;
  /** A valid token at any time; left out: anonymous. */
  readonly token?: () => string;
  /** A name for people, in request ids; they are unique without it. */
  readonly clientId?: string;
  /** The message that is being handled while a call is made, if any. */
  readonly trace?: () => Trace | undefined;
  readonly observe?: Observe | undefined;
  readonly clock?: Clock;
  readonly rng?: Rng;
  /** How long to go on when nobody answers at the address, in milliseconds. Default 2000. */
  readonly patienceMs?: number;
  /** How long a server that takes a connection may take to say its first words, in milliseconds. Default 5000. */
  readonly greetingMs?: number;
  readonly maxMessageBytes?: number;
  /** What streams send was checked, and is whole: it is not looked at once more. */
  readonly isChecked?: boolean;
}

const closed = (): HiveError => new HiveError('FAILED_PRECONDITION', 'the client is closed');

const DEFAULT_PATIENCE_MS = 2000;
/** Long enough that a busy server is not taken for one that hangs, and within a call's usual time. */
const DEFAULT_GREETING_MS = 5000;

/** What all calls of one client share. */
export class GrpcPeer {
  readonly address: string;
  readonly channel: Channel;
  readonly options: GrpcClientOptions;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly patienceMs: number;
  readonly ids: RequestIds;
  readonly repeats: RepeatBudget;
  readonly #closing = new AbortController();

  /** Throws INVALID_ARGUMENT for times that cannot be. */
  constructor(address: string, options: GrpcClientOptions) {
    const { patienceMs = DEFAULT_PATIENCE_MS, greetingMs = DEFAULT_GREETING_MS, maxMessageBytes = 4 << 20 } = options;
    const faults = [
      ...timeFaults('patienceMs', options.patienceMs),
      ...timeFaults('greetingMs', options.greetingMs, 1),
    ];
    if (faults.length > 0) throw invalid(faults);
    this.address = address;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.rng = options.rng ?? Math.random;
    this.patienceMs = patienceMs;
    this.ids = new RequestIds(options.clientId ?? 'client');
    this.repeats = new RepeatBudget(this.clock.monotonic());
    this.channel = new Channel(address, new GreetedCredentials({ clock: this.clock, greetingMs }), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2000,
      'grpc.enable_retries': 0, // retries are ours: they keep the request id
    });
  }

  /** Aborts when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** Unary calls that are under way are answered still; streams end, and nothing new begins. */
  close(): void {
    this.#closing.abort();
    this.channel.close();
  }

  /** Throws FAILED_PRECONDITION when it is closed. */
  checkOpen(): void {
    if (this.closing.aborted) throw closed();
  }

  /** The trace of a call that starts here. */
  trace({ trace }: CallOptions): Trace {
    return traceOfCall(trace ?? this.options.trace?.());
  }

  metadata(trace: Trace, request?: RequestId): Metadata {
    const { federation = 'main', token } = this.options;
    const { traceparent, correlationId, hops } = fromActiveSpan(trace);
    const metadata = new Metadata();
    metadata.set(FEDERATION_KEY, federation);
    metadata.set(HEADERS.correlation, correlationId);
    metadata.set(HEADERS.hops, String(hops));
    if (traceparent !== '') metadata.set(HEADERS.traceparent, traceparent);
    const bearer = token?.() ?? '';
    if (bearer !== '') metadata.set(HEADERS.authorization, `Bearer ${bearer}`);
    if (request) metadata.set(HEADERS.requestId, `${request.client}:${request.counter}`);
    return metadata;
  }

  /** `signal` is the caller's, which tells who ended the call. */
  error(error: ServiceError, signal: AbortSignal | undefined): HiveError {
    const own = fromGrpc(error);
    if (error.metadata?.get(ERROR_KEY).length) return own;
    if (own.code === 'CANCELLED' && !signal?.aborted) {
      if (this.closing.aborted) return closed();
      // A server that ends its connections resets what reached it too late to be heard.
      const message = `${this.address} ended the call without an answer`;
      return new HiveError('UNAVAILABLE', message, { cause: error, reason: 'CONNECTION_ENDED' });
    }
    if (own.code !== 'UNAVAILABLE') return own;
    const never = neverSent(this.address, error);
    if (never) return never;
    const message = `the connection to ${this.address} was lost: ${error.details}`;
    return new HiveError('UNAVAILABLE', message, { cause: error, reason: 'CONNECTION_LOST' });
  }

  observed<T>({ name: method, path }: Method, trace: Trace, run: () => Promise<T>): Promise<T> {
    const { observe, federation = 'main' } = this.options;
    if (!observe) return run();
    const fullName = path.slice(1);
    // As in subjects: `/hivebus.pool.v1.…`.
    const service = path.split('.')[1] ?? '';
    return observe({ side: 'client', transport: 'grpc', service, method, fullName, federation, trace }, run);
  }
}
