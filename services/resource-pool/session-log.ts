import type { NatsConnection } from '@nats-io/nats-core';
import type { Clock } from '../../libs/kernel/clock.ts';
import { taskLogSubject } from '../../libs/protocol/subjects.ts';
import type { KeyPair } from '../../libs/protocol/token.ts';
import { cutBytes } from '../../libs/sdk/line-splitter.ts';
import { LogSender } from '../../libs/sdk/log-sender.ts';
import type { LogLine } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** Longer lines are cut, in bytes of UTF-8. */
const MAX_LINE_BYTES = 8192;
/** Sustained output of one session, in bytes a second; a line costs LINE_COST more than its text. */
const RATE = 1024 * 1024;
const BURST = 2 * RATE;
const LINE_COST = 256;

/** The output of a session's tasks on its way to their logs. What comes too fast is not kept: a gap in the numbers shows it. */
export class SessionLog {
  readonly #nc: NatsConnection;
  readonly #federation: string;
  readonly #key: KeyPair | undefined;
  readonly #clock: Clock;
  #tokens = BURST;
  #refilledAt: number;

  constructor(nc: NatsConnection, federation: string, key: KeyPair | undefined, clock: Clock) {
    this.#nc = nc;
    this.#federation = federation;
    this.#key = key;
    this.#clock = clock;
    this.#refilledAt = clock.monotonic();
  }

  /** Sends lines that were checked, those of one attempt together. */
  write(lines: readonly LogLine[]): void {
    this.#refill();
    const senders = new Map<string, LogSender>();
    for (const line of lines) {
      if (this.#tokens <= 0) break;
      this.#tokens -= LINE_COST + line.text.length;
      const at = line.at ?? new Date(this.#clock.now()).toISOString();
      this.#senderOf(senders, line).send({ ...line, text: cutBytes(line.text, MAX_LINE_BYTES), at });
    }
    for (const sender of senders.values()) sender.flush();
  }

  /** A message has the lines of one attempt only. */
  #senderOf(senders: Map<string, LogSender>, { task, attempt }: LogLine): LogSender {
    const key = `${task} ${attempt}`;
    const known = senders.get(key);
    if (known) return known;
    const sender = new LogSender(this.#nc, taskLogSubject(this.#federation, task), this.#key);
    senders.set(key, sender);
    return sender;
  }

  #refill(): void {
    const now = this.#clock.monotonic();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#refilledAt) / 1000) * RATE);
    this.#refilledAt = now;
  }
}
