import type { MethodDefinition } from '@grpc/grpc-js';
import type { Call } from '../protocol/call.ts';
import type { Trace } from '../protocol/machine.ts';

/** A generated service definition, e.g. `RegistryServiceService`: methods by their name in camelCase. */
// biome-ignore lint/suspicious/noExplicitAny: request and response types differ by method and are inferred per key
export type Definition = { readonly [method: string]: MethodDefinition<any, any> };

export type RequestOf<Method> = Method extends MethodDefinition<infer Request, infer _> ? Request : never;
export type ResponseOf<Method> = Method extends MethodDefinition<infer _, infer Response> ? Response : never;

/** A service's methods, written once; the gRPC and the bus adaptor both serve exactly this. */
export type Api<D extends Definition> = {
  readonly [K in keyof D]: D[K] extends { readonly requestStream: true; readonly responseStream: true }
    ? (requests: AsyncIterable<RequestOf<D[K]>>, call: Call) => AsyncIterable<ResponseOf<D[K]>>
    : D[K] extends { readonly requestStream: true }
      ? (requests: AsyncIterable<RequestOf<D[K]>>, call: Call) => Promise<ResponseOf<D[K]>>
      : D[K] extends { readonly responseStream: true }
        ? (request: RequestOf<D[K]>, call: Call) => AsyncIterable<ResponseOf<D[K]>>
        : (request: RequestOf<D[K]>, call: Call) => Promise<ResponseOf<D[K]>>;
};

/** What a caller may say beside the request. */
export interface CallOptions {
  /** Give up after so many milliseconds; default 10,000 for unary calls, none for streams. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The message for whose sake the call is made; default: what the client knows of by itself, if anything. */
  readonly trace?: Trace | undefined;
}

/** The same methods as a client calls them, over either transport. Fields left out have their proto3 default. */
export type Client<D extends Definition> = {
  readonly [K in keyof D]: D[K] extends { readonly requestStream: true; readonly responseStream: true }
    ? (requests: AsyncIterable<Partial<RequestOf<D[K]>>>, options?: CallOptions) => AsyncIterable<ResponseOf<D[K]>>
    : D[K] extends { readonly requestStream: true }
      ? (requests: AsyncIterable<Partial<RequestOf<D[K]>>>, options?: CallOptions) => Promise<ResponseOf<D[K]>>
      : D[K] extends { readonly responseStream: true }
        ? (request: Partial<RequestOf<D[K]>>, options?: CallOptions) => AsyncIterable<ResponseOf<D[K]>>
        : (request: Partial<RequestOf<D[K]>>, options?: CallOptions) => Promise<ResponseOf<D[K]>>;
};
