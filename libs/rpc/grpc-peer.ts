import { Client as Channel, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import type { Rng } from '../kernel/rng.ts';
import type { RequestId } from '../protocol/call.ts';
import { FEDERATION_KEY, HEADERS, nextHop } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { Method } from './binding.ts';
import { ERROR_KEY, fromGrpc } from './error-wire.ts';
import { activeTraceparent, type Observe } from './observe.ts';
import { RequestIds } from './request-ids.ts';

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
  /** How long to go on when nobody answers at the address, in milliseconds. */
  readonly patienceMs?: number;
  readonly maxMessageBytes?: number;
}

const NO_TRACE: Trace = { traceparent: '', correlationId: '', hops: 0 };

/** What all calls of one client share. */
export class GrpcPeer {
  readonly address: string;
  readonly channel: Channel;
  readonly options: GrpcClientOptions;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly patienceMs: number;
  readonly ids: RequestIds;

  constructor(address: string, options: GrpcClientOptions) {
    const maxMessageBytes = options.maxMessageBytes ?? 4 << 20;
    this.address = address;
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.rng = options.rng ?? Math.random;
    this.patienceMs = options.patienceMs ?? 2000;
    this.ids = new RequestIds(options.clientId ?? 'client');
    this.channel = new Channel(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': maxMessageBytes,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2000,
      'grpc.enable_retries': 0, // retries are ours: they keep the request id
    });
  }

  metadata(request?: RequestId): Metadata {
    const { federation = 'main', token, trace } = this.options;
    const outer = trace?.();
    const { traceparent, correlationId, hops } = outer ? nextHop(outer) : { ...NO_TRACE, correlationId: randomId() };
    const metadata = new Metadata();
    metadata.set(FEDERATION_KEY, federation);
    metadata.set(HEADERS.correlation, correlationId);
    metadata.set(HEADERS.hops, String(hops));
    const parent = activeTraceparent() || traceparent;
    if (parent !== '') metadata.set(HEADERS.traceparent, parent);
    const bearer = token?.() ?? '';
    if (bearer !== '') metadata.set(HEADERS.authorization, `Bearer ${bearer}`);
    if (request) metadata.set(HEADERS.requestId, `${request.client}:${request.counter}`);
    return metadata;
  }

  error(error: ServiceError): HiveError {
    const own = fromGrpc(error);
    if (own.code !== 'UNAVAILABLE' || error.metadata?.get(ERROR_KEY).length) return own;
    const message = `nothing answers at ${this.address}: ${error.details}; is hivebus up?`;
    return new HiveError('UNAVAILABLE', message, { cause: error, reason: 'NO_RESPONDERS' });
  }

  observed<T>(method: Method, run: () => Promise<T>): Promise<T> {
    const { observe, trace, federation = 'main' } = this.options;
    if (!observe) return run();
    const service = method.path.split('/')[1] ?? '';
    const info = { side: 'client', transport: 'grpc', service, method: method.name, federation } as const;
    return observe({ ...info, trace: trace?.() ?? NO_TRACE }, run);
  }
}
