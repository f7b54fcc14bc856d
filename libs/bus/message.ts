import { errors, type Msg } from '@nats-io/nats-core';

/** What the client keeps of a message: its payload with the headers before it, `hdr` bytes of them (-1 = none). */
interface Received {
  readonly _rdata?: Uint8Array;
  readonly _msg?: { readonly hdr: number };
  /** The service framework wraps messages. */
  readonly msg?: Received;
}

const NONE = new Uint8Array(0);

/**
 * A message's headers as NATS has them on the wire. The client decodes ten headers in 5 µs, we read what we need in
 * less than one: so its private parts are used where they are as expected, and its public ones where not.
 */
export function headerBytes(message: Msg): Uint8Array {
  const outer = message as Msg & Received;
  const inner = outer.msg ?? outer;
  if (inner._rdata && inner._msg) return inner._msg.hdr > 0 ? inner._rdata.subarray(0, inner._msg.hdr) : NONE;
  return message.headers ? Buffer.from(String(message.headers)) : NONE;
}

const NO_RESPONDERS = Buffer.from('NATS/1.0 503');

/** Did the server answer because nobody listens? */
export function isNoResponders(message: Msg): boolean {
  if (message.data.length > 0) return false;
  const head = headerBytes(message);
  return Buffer.compare(head.subarray(0, NO_RESPONDERS.length), NO_RESPONDERS) === 0;
}

/** Did a request of the client's fail since nobody listens? Then nobody has got it. */
export const nobodyListened = (error: unknown): boolean =>
  error instanceof errors.NoRespondersError || (error instanceof errors.RequestError && error.isNoResponders());
