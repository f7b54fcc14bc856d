import type { NatsConnection } from '@nats-io/nats-core';

/** Somebody who judges others by what is heard of them. */
export interface Listener {
  /** The bus is gone: until `hearing` nobody can be heard, so nobody is judged. */
  deaf(): void;
  hearing(): void;
}

/** Tells all listeners when the connection is lost and when it is back, until it is closed or `signal` aborts. */
export async function followHearing(
  nc: NatsConnection,
  listeners: () => Iterable<Listener>,
  signal: AbortSignal,
): Promise<void> {
  for await (const { type } of nc.status()) {
    if (signal.aborted) return;
    for (const listener of listeners()) {
      if (type === 'disconnect') listener.deaf();
      if (type === 'reconnect') listener.hearing();
    }
  }
}
