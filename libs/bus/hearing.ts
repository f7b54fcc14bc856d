import type { NatsConnection } from '@nats-io/nats-core';
import { Link } from './link.ts';

/** Somebody who judges others by what is heard of them. */
export interface Listener {
  /** The bus is gone: until `hearing` nobody can be heard, so nobody is judged. */
  deaf(): void;
  hearing(): void;
}

/** Tells all listeners when the connection is lost and when it is back, until it is closed or `signal` aborts. */
export function followHearing(nc: NatsConnection, listeners: () => Iterable<Listener>, signal: AbortSignal): void {
  const link = Link.of(nc);
  const lost = link.whenLost(() => {
    for (const listener of listeners()) listener.deaf();
    link.whenStanding(() => {
      if (nc.isClosed() || signal.aborted) return;
      for (const listener of listeners()) listener.hearing();
    });
  });
  signal.addEventListener('abort', () => lost[Symbol.dispose](), { once: true });
}
