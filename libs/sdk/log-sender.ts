import type { NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../bus/raw-headers.ts';
import { encodeLines, headerLine } from '../protocol/envelope.ts';
import { SIGNATURE, signatureOf } from '../protocol/signature.ts';
import type { KeyPair } from '../protocol/token.ts';
import type { LogLine } from '../wire/hivebus/pool/v1/pool.ts';

/** Bytes of one message at most, but for its last line: the bus carries 1 MiB. */
const MAX_BYTES = 256 * 1024;
/** What waits for the pool has so many characters; then the older half goes, and the gap in the numbers tells it. */
const MAX_WAITING = 8 * 1024 * 1024;

/** Publishes an attempt's lines: those of one tick in one message, a line of JSON each, signed. */
export class LogSender {
  readonly #nc: NatsConnection;
  readonly #subject: string;
  readonly #key: KeyPair | undefined;
  readonly #known: () => Promise<void> | undefined;
  #lines: string[] = [];
  #bytes = 0;
  #waiting = false;

  /** Without a key the lines are not signed. `known`: what is waited for before the key may be used. */
  constructor(
    nc: NatsConnection,
    subject: string,
    key: KeyPair | undefined,
    known: () => Promise<void> | undefined = () => undefined,
  ) {
    this.#nc = nc;
    this.#subject = subject;
    this.#key = key;
    this.#known = known;
  }

  send(line: LogLine): void {
    if (this.#lines.length === 0) queueMicrotask(() => this.flush());
    const text = JSON.stringify(line);
    this.#lines.push(text);
    this.#bytes += text.length;
    if (this.#bytes >= MAX_BYTES) this.flush();
    if (this.#bytes <= MAX_WAITING) return;
    for (const { length } of this.#lines.splice(0, this.#lines.length / 2)) this.#bytes -= length;
  }

  flush(): void {
    if (this.#lines.length === 0 || this.#waiting || this.#nc.isClosed()) return;
    const known = this.#known();
    if (!known) return this.#publish();
    this.#waiting = true;
    void known.then(() => {
      this.#waiting = false;
      this.#publish();
    });
  }

  /** All lines: one message, unless more came together while they waited. */
  #publish(): void {
    const lines = this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    for (let from = 0; from < lines.length && !this.#nc.isClosed(); ) {
      let to = from;
      for (let bytes = 0; to < lines.length && bytes < MAX_BYTES; to++) bytes += (lines[to] as string).length;
      const body = Buffer.from(lines.slice(from, to).join('\n'));
      const headers = this.#key && encodeLines(headerLine(SIGNATURE, signatureOf(this.#key, this.#subject, body)));
      this.#nc.publish(this.#subject, body, headers ? { headers: rawHeaders(headers) } : {});
      from = to;
    }
  }
}
