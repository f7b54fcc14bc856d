import type { NatsConnection } from '@nats-io/nats-core';
import { Link } from '../libs/bus/link.ts';
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
export function followConnection(nc: NatsConnection, context: Context, hint: string): void {
  const outage = new Outage(context);
  const link = Link.of(nc);
  link.whenLost(() => {
    outage.lost({ message: `lost the connection to ${context.nats}` });
    link.whenStanding(() => {
      if (!nc.isClosed()) outage.back(hint);
    });
  });
}
