import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type Settings,
} from 'node:http2';
import type { GrpcServer } from '../../libs/rpc/grpc-server.ts';

/** gRPC frame by frame, as no client library would let us. */

/** A connection that is closed when its test is over. */
export async function connection(server: GrpcServer, settings: Settings = {}) {
  const session = connect(`http://${server.address}`, { settings });
  session.on('error', () => {}); // seen by its streams
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

/** One gRPC message: a flag, its length, its bytes. */
export function frame(message: Uint8Array, { compressed = false, length = message.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}

export function open(session: ClientHttp2Session, method: string, headers: Record<string, string> = {}) {
  return session.request({
    ...{ ':method': 'POST', ':path': `/hivebus.registry.v1.RegistryService/${method}` },
    ...{ 'content-type': 'application/grpc', te: 'trailers', ...headers },
  });
}

export interface Outcome {
  /** gRPC's code; undefined when the stream was reset without one. */
  readonly status: number | undefined;
  readonly message: string;
  /** The metadata key `hive-error`. */
  readonly error: string;
  /** HTTP/2's code of a reset; 0 = none. */
  readonly reset: number;
  readonly body: Buffer;
}

/** What a call came to. Takes everything unless the test has paused the stream. */
export function outcome(stream: ClientHttp2Stream): Promise<Outcome> {
  return new Promise((resolve) => {
    let all: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on('response', (headers) => {
      all = { ...all, ...headers };
    });
    stream.on('trailers', (headers) => {
      all = { ...all, ...headers };
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', () => {}); // told by `close`
    stream.on('close', () => {
      const status = all['grpc-status'] === undefined ? undefined : Number(all['grpc-status']);
      const message = decodeURIComponent(String(all['grpc-message'] ?? ''));
      const error = String(all['hive-error'] ?? '');
      resolve({ status, message, error, reset: stream.rstCode, body: Buffer.concat(chunks) });
    });
  });
}

/** A unary call with these bytes as everything that is sent. */
export function call(session: ClientHttp2Session, method: string, bytes: Uint8Array, headers = {}): Promise<Outcome> {
  const stream = open(session, method, headers);
  const came = outcome(stream);
  stream.end(bytes);
  return came;
}
