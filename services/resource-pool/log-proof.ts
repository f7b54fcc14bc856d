import type { KeyObject } from 'node:crypto';
import type { JsMsg } from '@nats-io/jetstream';
import { isSigned, SIGNATURE, signingKeyOf } from '../../libs/protocol/signature.ts';
import type { LogLine } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** Keys by attempt: '' = its agent has told none; an attempt that was not confirmed is not there. */
export type LogKeys = ReadonlyMap<number, string>;

/** Questions to the leader in one reading, at most: who forges lines names any attempt. */
const MAX_QUESTIONS = 200;

/**
 * Tells the lines that an attempt's own agent wrote from those that anybody else put into the log. Agents that tell no key
 * when they confirm an attempt (older ones, other languages) are believed.
 */
export class LogProof {
  readonly #ask: () => Promise<LogKeys>;
  readonly #keys = new Map<number, KeyObject | 'none'>();
  #questions = 0;

  /** `ask` gives the keys of all attempts that were confirmed by now. */
  constructor(ask: () => Promise<LogKeys>) {
    this.#ask = ask;
  }

  /** Whether the lines of a message are what they say. */
  async holds(message: JsMsg, lines: readonly LogLine[]): Promise<boolean> {
    const attempt = lines[0]?.attempt ?? 0;
    if (lines.some((line) => line.attempt !== attempt)) return false;
    const key = this.#keys.get(attempt) ?? (await this.#learn(attempt));
    if (key === undefined || key === 'none') return key === 'none';
    const signature = message.headers?.get(SIGNATURE) ?? '';
    return signature !== '' && isSigned(key, message.subject, message.data, signature);
  }

  async #learn(attempt: number): Promise<KeyObject | 'none' | undefined> {
    if (this.#questions++ >= MAX_QUESTIONS) return undefined;
    for (const [number, key] of await this.#ask()) this.#keys.set(number, key === '' ? 'none' : signingKeyOf(key));
    return this.#keys.get(attempt);
  }
}
