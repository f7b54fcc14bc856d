import type { NatsConnection } from '@nats-io/nats-core';
import { formatDuration } from '../libs/kernel/durations.ts';
import type { Context } from './context.ts';

/** Tells people, once each, that a command cannot go on for now and that it can again. */
export class Outage {
  readonly #context: Pick<Context, 'output'>;
  readonly #now: () => number;
  #since: number | undefined;

  constructor(context: Pick<Context, 'output'>, now: () => number = performance.now.bind(performance)) {
    this.#context = context;
    this.#now = now;
  }

  readonly lost = ({ message }: { readonly message: string }): void => {
    if (this.#since !== undefined) return;
    this.#since = this.#now();
    this.#context.output.note(`${message}; waiting until it is back`);
  };

  /** `hint` says what to know of the time between. */
  readonly back = (hint = ''): void => {
    if (this.#since === undefined) return;
    this.#context.output.note(`back after ${formatDuration(this.#now() - this.#since)}${hint && `; ${hint}`}`);
    this.#since = undefined;
  };
}

/** For a command that only listens: its connection is all that can break. Until the connection is closed. */
export async function followConnection(nc: NatsConnection, context: Context, hint: string): Promise<void> {
  const outage = new Outage(context);
  for await (const { type } of nc.status()) {
    if (type === 'disconnect') outage.lost({ message: `lost the connection to ${context.nats}` });
    if (type === 'reconnect') outage.back(hint);
  }
}
