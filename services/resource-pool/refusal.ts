import { HiveError } from '../../libs/kernel/errors.ts';
import { toErrorJson } from '../../libs/rpc/error-wire.ts';
import type { Refusal } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** What whole refusals of one answer may take together, in bytes: the bus carries 1 MiB in a message. */
const MAX_WHOLE_BYTES = 192 * 1024;
const MAX_MESSAGE = 64;

/** An error as an item's refusal. */
export function refusalOf(cause: unknown): Refusal {
  const {
    code,
    message,
    retryable,
    retryAfterMs = 0,
    reason = '',
    violations = [],
  } = toErrorJson(HiveError.from(cause));
  return { code, message, retryable, retryAfterMs, reason, faults: [...violations] };
}

/** Refusals of one answer: whole as long as there is room, then without their faults and with the beginning of the text. */
export class Refusals {
  #bytes = 0;

  of(cause: unknown): Refusal {
    const refusal = refusalOf(cause);
    this.#bytes += Buffer.byteLength(JSON.stringify(refusal));
    if (this.#bytes <= MAX_WHOLE_BYTES) return refusal;
    return { ...refusal, message: beginning(refusal.message), faults: [] };
  }
}

const beginning = (text: string): string => (text.length > MAX_MESSAGE ? `${text.slice(0, MAX_MESSAGE - 3)}...` : text);
