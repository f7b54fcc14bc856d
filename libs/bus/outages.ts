import type { NatsConnection } from '@nats-io/nats-core';

/**
 * When a connection to the bus is down. What is asked while it is, or just before, is never answered, and the client only
 * finds out by a time-out: who knows of the outage need not wait for that. One for each connection.
 */
export class Outages {
  #isDown = false;
  /** Resolves when the connection stands, or is closed for good. */
  #up: Promise<void> = Promise.resolve();
  #resolveUp: () => void = () => {};
  /** When the last outage was over, by `performance.now()`. */
  #upSince = Number.NEGATIVE_INFINITY;
  readonly #onBreak = new Set<() => void>();

  private constructor(nc: NatsConnection) {
    void this.#follow(nc);
  }

  static of(nc: NatsConnection): Outages {
    let outages = known.get(nc);
    if (!outages) {
      outages = new Outages(nc);
      known.set(nc, outages);
    }
    return outages;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** For how long it has been up, in milliseconds; 0 while it is down. */
  upForMs(): number {
    return this.#isDown ? 0 : performance.now() - this.#upSince;
  }

  /**
   * What `ask` gets over the connection; it is asked once the connection stands. Rejects when the connection breaks
   * before the answer, as soon as it is back: there will be none, and whatever was asked for can be looked up.
   */
  async answer<T>(ask: () => Promise<T>): Promise<T> {
    if (this.#isDown) await this.#up;
    return new Promise((resolve, reject) => {
      const broken = () => void this.#up.then(() => reject(new Error('the connection broke before it was answered')));
      this.#onBreak.add(broken);
      const over = () => void this.#onBreak.delete(broken);
      ask().then(resolve, reject).finally(over);
    });
  }

  async #follow(nc: NatsConnection): Promise<void> {
    for await (const { type } of nc.status()) {
      if (type === 'disconnect') this.#break();
      if (type === 'reconnect') this.#restore();
    }
    this.#break(); // closed for good: who waits is told
    this.#restore();
  }

  #break(): void {
    if (this.#isDown) return;
    this.#isDown = true;
    this.#up = new Promise((resolve) => {
      this.#resolveUp = resolve;
    });
    for (const broken of [...this.#onBreak]) broken();
    this.#onBreak.clear();
  }

  #restore(): void {
    this.#isDown = false;
    this.#upSince = performance.now();
    this.#resolveUp();
  }
}

const known = new WeakMap<NatsConnection, Outages>();
