import type { Socket } from 'node:net';
import { ChannelCredentials, credentials, type ServiceError } from '@grpc/grpc-js';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';

/**
 * Whether what listens at an address speaks gRPC. A server's first frame is its settings, and until they come grpc-js lets
 * calls wait, for as long as they may take: it has no time limit of its own for a port that takes connections and says
 * nothing. A connection is shown to its credentials before it is used, which is where ours are watched. That costs
 * something for each connection and nothing for a call, and a connection that is given up is closed; to watch the channel's
 * state instead would leave it open for as long as the other side hangs.
 */

type Connector = ReturnType<ChannelCredentials['_createSecureConnector']>;

export interface Greeting {
  readonly clock: Clock;
  /** How long a server may take to say its first words once it is connected, in milliseconds. */
  readonly greetingMs: number;
}

/** Plain connections, closed when the other side says nothing. */
export class GreetedCredentials extends ChannelCredentials {
  readonly #greeting: Greeting;
  readonly #plain = credentials.createInsecure();

  constructor(greeting: Greeting) {
    super();
    this.#greeting = greeting;
  }

  _isSecure(): boolean {
    return false;
  }

  /** Clients that are equal in this and in the rest share connections. */
  _equals(other: ChannelCredentials): boolean {
    if (!(other instanceof GreetedCredentials)) return false;
    const { clock, greetingMs } = other.#greeting;
    return clock === this.#greeting.clock && greetingMs === this.#greeting.greetingMs;
  }

  _createSecureConnector(...its: Parameters<ChannelCredentials['_createSecureConnector']>): Connector {
    const plain = this.#plain._createSecureConnector(...its);
    return {
      connect: (socket) => {
        watch(socket, this.#greeting);
        return plain.connect(socket);
      },
      waitForReady: () => plain.waitForReady(),
      getCallCredentials: () => plain.getCallCredentials(),
      destroy: () => plain.destroy(),
    };
  }
}

/** The head of a frame; who sends less has not said anything. */
const FRAME_HEAD_BYTES = 9;
/** It is looked so often, so that a while in which this process stood still itself counts for one look only. */
const LOOKS = 4;

function watch(socket: Socket, { clock, greetingMs }: Greeting): void {
  let timer: Disposable;
  const look = (left: number) => {
    // What has arrived already is read first.
    timer = clock.after(greetingMs / LOOKS, () => clock.defer(() => looked(left)));
  };
  const looked = (left: number) => {
    if (socket.destroyed || socket.bytesRead >= FRAME_HEAD_BYTES) return;
    if (left > 1) look(left - 1);
    else socket.destroy(new Error(`${SILENT} within ${greetingMs} ms`));
  };
  look(LOOKS);
  socket.once('close', () => timer[Symbol.dispose]());
}

const SILENT = 'it said nothing';

/** Of a call for which there was no connection to begin with. */
const NEVER_SENT = /^(No connection established|Name resolution failed|Failed to )/;

/**
 * What grpc-js and HTTP/2 say of a connection that was made and did not come to gRPC. There are no codes for it: what is not
 * known here is told in their words.
 */
const SAYS_NOTHING = new RegExp(`Last error: ${SILENT}`);
const SPEAKS_OTHERWISE = /Last error: (Protocol error|The length of the frame is invalid|.*NGHTTP2_\w+_ERROR)/;
const CLOSES = /Last error: (Failed to connect|Connection closed|read ECONNRESET|write EPIPE)/;

/** Why a call was never sent; undefined where it may have been. */
export function neverSent(address: string, cause: ServiceError): HiveError | undefined {
  const { details } = cause;
  if (!NEVER_SENT.test(details)) return undefined;
  const nobody = (message: string, reason = 'NO_RESPONDERS') =>
    new HiveError('UNAVAILABLE', message, { cause, reason });
  const check = `is ${address} the gRPC port of Hivebus`;
  if (SAYS_NOTHING.test(details)) {
    const message = `what listens at ${address} takes connections and does not speak gRPC: it says nothing`;
    return nobody(`${message}; ${check}, and does the process there hang?`);
  }
  if (SPEAKS_OTHERWISE.test(details)) {
    const message = `what listens at ${address} does not speak gRPC, but something else, e.g. HTTP/1.1 or NATS`;
    return nobody(`${message}; ${check}?`, 'NOT_GRPC');
  }
  if (CLOSES.test(details)) {
    const message = `what listens at ${address} closes connections without a word of gRPC`;
    return nobody(`${message}; ${check}, without TLS, and is it just starting or ending, or full?`);
  }
  return nobody(`nothing answers at ${address}: ${details}; is hivebus up?`);
}
