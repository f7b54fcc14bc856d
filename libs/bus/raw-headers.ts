import type { MsgHdrs } from '@nats-io/nats-core';

/**
 * Headers that are encoded already, in the shape that the client's publish takes: it only asks for `encode()`. The
 * client's own header object costs as much as the rest of a small message.
 */
export function rawHeaders(encoded: Uint8Array): MsgHdrs {
  const headers: Pick<MsgHdrs, never> & { encode(): Uint8Array } = { encode: () => encoded };
  return headers as MsgHdrs & { encode(): Uint8Array };
}
