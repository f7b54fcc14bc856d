import type { NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../bus/raw-headers.ts';
import { encodeLines, headerLine } from '../protocol/envelope.ts';
import { LOG_SIGNATURE, signLines } from '../protocol/log-signature.ts';
import type { KeyPair } from '../protocol/token.ts';
import type { LogLine } from '../wire/hivebus/pool/v1/pool.ts';

/** Bytes of one message at most, but for its last line: the bus carries 1 MiB. */
const MAX_BYTES = 256 * 1024;

/** Publishes an attempt's lines: those of one tick in one message, a line of JSON each, signed. */
export class LogSender {
  readonly #nc: NatsConnection;
  readonly #subject: string;
  readonly #key: KeyPair | undefined;
  #lines: string[] = [];
  #bytes = 0;

  /** Without a key the lines are not signed. */
  constructor(nc: NatsConnection, subject: string, key: KeyPair | undefined) {
    this.#nc = nc;
    this.#subject = subject;
    this.#key = key;
  }

  send(line: LogLine): void {
    if (this.#lines.length === 0) queueMicrotask(() => this.flush());
    const text = JSON.stringify(line);
    this.#lines.push(text);
    this.#bytes += text.length;
    if (this.#bytes >= MAX_BYTES) this.flush();
  }

  flush(): void {
    if (this.#lines.length === 0 || this.#nc.isClosed()) return;
    const body = Buffer.from(this.#lines.join('\n'));
    this.#lines = [];
    this.#bytes = 0;
    const headers = this.#key && encodeLines(headerLine(LOG_SIGNATURE, signLines(this.#key, this.#subject, body)));
    this.#nc.publish(this.#subject, body, headers ? { headers: rawHeaders(headers) } : {});
  }
}
