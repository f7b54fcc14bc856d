import type { NatsConnection } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';

/**
 * Whether a connection stands. What comes while it is broken is lost, and so is what is published then: the client
 * restores subscriptions, not messages. One listener for each connection, however many depend on it.
 */
export class Link {
  readonly #onLost = new Set<() => void>();
  readonly #onBack = new Set<() => void>();
  #stands = true;

  static of(nc: NatsConnection): Link {
    const known = links.get(nc);
    if (known) return known;
    const link = new Link();
    links.set(nc, link);
    void link.#follow(nc);
    return link;
  }

  private constructor() {}

  /** Calls each time the connection breaks, until disposed. */
  whenLost(onLost: () => void): Disposable {
    this.#onLost.add(onLost);
    return { [Symbol.dispose]: () => void this.#onLost.delete(onLost) };
  }

  /** Calls once: now if the connection stands, else when it is back; never when disposed before. */
  whenStanding(onBack: () => void): Disposable {
    if (this.#stands) onBack();
    else this.#onBack.add(onBack);
    return { [Symbol.dispose]: () => void this.#onBack.delete(onBack) };
  }

  async #follow(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type === 'disconnect') {
        this.#stands = false;
        for (const onLost of [...this.#onLost]) onLost();
      } else if (type === 'reconnect') {
        this.#stands = true;
        const waiting = [...this.#onBack];
        this.#onBack.clear();
        for (const onBack of waiting) onBack();
      }
    }
  }
}

const links = new WeakMap<NatsConnection, Link>();

export const connectionLost = (): HiveError =>
  new HiveError('UNAVAILABLE', 'the connection to the bus was lost', { reason: 'BUS_LOST' });
