import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';

/** Who speaks HTTP/2 begins with this (RFC 9113, 3.4). */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const HTTP_1 = /^[A-Z]{2,16} /;
/** To write why before the connection is closed. */
const LINGER_MS = 1000;

export interface Listening {
  readonly host: string;
  /** 0 = a free one. */
  readonly port: number;
  readonly clock: Clock;
  /** More are closed at once. */
  readonly maxConnections: number;
  /** By when a connection must have begun to speak HTTP/2. */
  readonly greetingMs: number;
  /** Takes over a connection that speaks HTTP/2. */
  readonly take: (socket: Socket) => void;
}

/**
 * Listens for gRPC. The gRPC server would answer whoever speaks something else with frames that nobody can read, and keep
 * every connection that is opened and left. So connections are looked at before it gets them: they are bounded, those
 * that say nothing are closed, and HTTP/1 is told what this port is for.
 */
export class GrpcListener {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  /** Throws FAILED_PRECONDITION when nothing can listen there, with the reason PORT_IN_USE or BAD_ADDRESS. */
  static async listen(options: Listening): Promise<GrpcListener> {
    const sockets = new Set<Socket>();
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      greet(socket, options);
    });
    server.maxConnections = options.maxConnections;
    await listening(server, options);
    return new GrpcListener(server, sockets);
  }

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = (server.address() as { port: number }).port;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Takes no new connections; those that are open stay. */
  close(): void {
    this.#server.close();
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Hands a connection over once it has said that it speaks HTTP/2. */
function greet(socket: Socket, { clock, greetingMs, take }: Listening): void {
  const chunks: Buffer[] = [];
  const tooLate = clock.after(greetingMs, () => socket.destroy());
  const onEnd = () => tooLate[Symbol.dispose]();
  const onError = () => socket.destroy();
  const onData = (chunk: Buffer) => {
    chunks.push(chunk);
    const said = Buffer.concat(chunks);
    const compared = Math.min(said.length, PREFACE.length);
    const fits = said.compare(PREFACE, 0, compared, 0, compared) === 0;
    if (fits && said.length < PREFACE.length) return;
    tooLate[Symbol.dispose]();
    socket.off('data', onData);
    if (!fits) return refuse(socket, said, clock);
    socket.off('close', onEnd).off('error', onError);
    socket.pause();
    socket.unshift(said);
    take(socket);
  };
  socket.on('data', onData).on('error', onError).on('close', onEnd);
}

/** HTTP/1 is answered; to anything else (TLS, garbage) nothing can be said. */
function refuse(socket: Socket, said: Buffer, clock: Clock): void {
  if (!HTTP_1.test(said.toString('latin1', 0, 20))) return void socket.destroy();
  const detail =
    'this port speaks gRPC, over HTTP/2 without TLS: use a gRPC client, or `buf curl --http2-prior-knowledge`';
  const body = `${JSON.stringify({ title: 'HTTP Version Not Supported', status: 505, code: 'UNIMPLEMENTED', detail })}\n`;
  const type = 'content-type: application/problem+json';
  socket.end(
    `HTTP/1.1 505 HTTP Version Not Supported\r\n${type}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
  socket.resume(); // what it still sends is of no interest
  const cut = clock.after(LINGER_MS, () => socket.destroy());
  socket.once('close', () => cut[Symbol.dispose]());
}

function listening(server: Server, { host, port }: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    // For good: later ones are connections that could not be taken, which their clients are told.
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === 'EADDRINUSE';
      const why = inUse ? 'something already listens there' : cause.message;
      const message = `cannot serve gRPC on ${host}:${port}: ${why}; end it, or choose another address`;
      reject(new HiveError('FAILED_PRECONDITION', message, { cause, reason: inUse ? 'PORT_IN_USE' : 'BAD_ADDRESS' }));
    });
    server.listen(port, host, resolve);
  });
}
