import type { NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from './raw-headers.ts';

/** What the client writes its commands with. */
interface Writer {
  sendCommand(bytes: Uint8Array): void;
  outMsgs: number;
  outBytes: number;
}

const HEAD = 'NATS/1.0\r\n';
/** What is written at once, in characters. */
const MAX_LENGTH = 64 * 1024;

/**
 * Messages that go out together, written as one text. The client's `publish` makes four buffers of each message, which
 * costs more than all else of a small one; so its private writer is used where it is as expected, and `publish` where not.
 */
export class Batch {
  readonly #nc: NatsConnection;
  readonly #writer: Writer | undefined;
  readonly #shared: string;
  /** Of the head with what all messages share, and of the empty line after it. */
  readonly #sharedBytes: number;
  #text = '';
  #messages = 0;

  /** `shared`: headers of all messages, as lines that CR LF ends. */
  constructor(nc: NatsConnection, shared: string) {
    this.#nc = nc;
    this.#writer = writerOf(nc);
    this.#shared = `${HEAD}${shared}`;
    this.#sharedBytes = Buffer.byteLength(this.#shared) + 2;
  }

  /** `lines`: headers, each ended by CR LF. `bytes`: of the body as UTF-8. Subject and lines must be ours or checked. */
  add(subject: string, lines: string, body: string, bytes: number): void {
    const headBytes = this.#sharedBytes + Buffer.byteLength(lines);
    const whole = headBytes + bytes;
    if (!this.#writer || whole > (this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY)) {
      this.flush(); // what is sent first arrives first
      this.#nc.publish(subject, body, { headers: rawHeaders(Buffer.from(`${this.#shared}${lines}\r\n`)) });
      return;
    }
    this.#text += `HPUB ${subject} ${headBytes} ${whole}\r\n${this.#shared}${lines}\r\n${body}\r\n`;
    this.#messages++;
    if (this.#text.length > MAX_LENGTH) this.flush();
  }

  flush(): void {
    if (!this.#writer || this.#messages === 0) return;
    const bytes = Buffer.from(this.#text);
    this.#writer.sendCommand(bytes);
    this.#writer.outMsgs += this.#messages;
    this.#writer.outBytes += bytes.length;
    this.#text = '';
    this.#messages = 0;
  }
}

function writerOf(nc: NatsConnection): Writer | undefined {
  const { protocol } = nc as NatsConnection & { protocol?: Partial<Writer> };
  const isWriter =
    typeof protocol?.sendCommand === 'function' &&
    typeof protocol.outMsgs === 'number' &&
    typeof protocol.outBytes === 'number';
  return isWriter ? (protocol as Writer) : undefined;
}
