import type { NatsConnection, PermissionViolationError } from '@nats-io/nats-core';
import { disposable } from '../kernel/disposable.ts';
import { HiveError } from '../kernel/errors.ts';
import { SlotSet, type Slotted } from '../kernel/slot-set.ts';
import { permissionViolation } from './permission.ts';

/** Who waits for an answer. */
interface Asking extends Slotted {
  /** There will be none. */
  unanswered(): void;
}

/**
 * Whether a connection to the bus stands, and what the server does not let it do, which it tells nobody else. What comes
 * while it is broken is lost, and so is what is published then: the client restores subscriptions, not messages. What is
 * asked then, or just before, is never answered, and the client only finds out by a time-out: who knows of the break need
 * not wait for that. One listener for each connection, however many depend on it.
 */
export class Link {
  readonly #onLost = new Set<() => void>();
  readonly #onBack = new Set<() => void>();
  /** Who waits for an answer: told that there is none once the connection is back, or closed. */
  readonly #asking = new SlotSet<Asking>();
  readonly #onDenied = new Set<(violation: PermissionViolationError) => void>();
  #stands = true;
  /** When it last came back, by `performance.now()`. */
  #backSince = Number.NEGATIVE_INFINITY;

  static of(nc: NatsConnection): Link {
    const known = links.get(nc);
    if (known) return known;
    const link = new Link();
    links.set(nc, link);
    void link.#follow(nc);
    return link;
  }

  private constructor() {}

  get stands(): boolean {
    return this.#stands;
  }

  /** For how long it has stood since it last came back, in milliseconds; 0 while it is broken. */
  standsForMs(): number {
    return this.#stands ? performance.now() - this.#backSince : 0;
  }

  /** Calls each time the connection breaks, until disposed; not when it is closed on purpose. */
  whenLost(onLost: () => void): Disposable {
    this.#onLost.add(onLost);
    return disposable(() => void this.#onLost.delete(onLost));
  }

  /** Calls once: now if the connection stands, else when it is back or closed; never when disposed before. */
  whenStanding(onBack: () => void): Disposable {
    if (this.#stands) onBack();
    else this.#onBack.add(onBack);
    return disposable(() => void this.#onBack.delete(onBack));
  }

  /**
   * What `ask` gets over the connection; it is asked once the connection stands. Rejects when the connection breaks
   * before the answer, as soon as it is back: there will be none, and whatever was asked for can be looked up.
   */
  async answer<T>(ask: () => Promise<T>): Promise<T> {
    if (!this.#stands) await new Promise<void>((resolve) => void this.whenStanding(resolve));
    return new Promise((resolve, reject) => {
      const unanswered = () => reject(new Error('the connection broke before it was answered'));
      const asking: Asking = { slot: -1, unanswered };
      this.#asking.add(asking);
      const heard = () => this.#asking.delete(asking);
      ask().then(
        (answer) => {
          heard();
          resolve(answer);
        },
        (error) => {
          heard();
          reject(error);
        },
      );
    });
  }

  /** Calls with each refused message or subscription, until disposed. */
  whenDenied(onDenied: (violation: PermissionViolationError) => void): Disposable {
    this.#onDenied.add(onDenied);
    return disposable(() => void this.#onDenied.delete(onDenied));
  }

  async #follow(nc: NatsConnection): Promise<void> {
    for await (const status of nc.status()) {
      const { type } = status;
      if (type === 'disconnect') {
        this.#break();
        for (const onLost of [...this.#onLost]) onLost();
      } else if (type === 'reconnect') {
        this.#restore();
      } else if (type === 'error') {
        const violation = permissionViolation(status.error);
        if (violation) for (const onDenied of [...this.#onDenied]) onDenied(violation);
      }
    }
    this.#break(); // closed for good: who waits is told
    this.#restore();
  }

  #break(): void {
    this.#stands = false;
    for (const asking of this.#asking.all()) {
      this.#asking.delete(asking);
      this.#onBack.add(asking.unanswered);
    }
  }

  #restore(): void {
    this.#stands = true;
    this.#backSince = performance.now();
    const waiting = [...this.#onBack];
    this.#onBack.clear();
    for (const onBack of waiting) onBack();
  }
}

const links = new WeakMap<NatsConnection, Link>();

export const connectionLost = (): HiveError =>
  new HiveError('UNAVAILABLE', 'the connection to the bus was lost', { reason: 'BUS_LOST' });
