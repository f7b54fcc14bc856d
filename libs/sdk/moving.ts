import type { Subscription } from '@nats-io/nats-core';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { AgentMove, RegisterAgentResponse } from '../wire/hivebus/pool/v1/pool.ts';
import { type AgentOptions, offerOf } from './agent-options.ts';
import type { Hive } from './hive.ts';
import { lastMove } from './moved.ts';
import { untilSettled } from './retry.ts';
import type { Settled } from './together.ts';
import { withTrace } from './trace-context.ts';
import type { Workbench } from './workbench.ts';

/** How long a registration in another swarm is tried, in milliseconds; then the agent stays. */
const MOVE_MS = 5000;
const MAX_REASON_CHARACTERS = 256;

/** Who an agent is: another after a migration. */
export interface Place {
  readonly hive: Hive;
  readonly swarm: string;
  readonly name: string;
  readonly work: Workbench;
}

export interface MovingOptions {
  readonly offer: AgentOptions;
  readonly instance: string;
  readonly clock: Clock;
  /** Aborts when nobody waits for the pool's answers any more. */
  readonly signal: AbortSignal;
  readonly settled: Settled;
  readonly here: () => Place;
  readonly isLeaving: () => boolean;
  readonly placeOf: (hive: Hive, swarm: string, name: string) => Place;
  /** Takes what is sent to the agent in a place. */
  readonly listen: (place: Place) => readonly Subscription[];
  /** The agent is there from now on, and hears only what it takes there. */
  readonly arrived: (place: Place, ears: readonly Subscription[], answer: RegisterAgentResponse) => void;
  /** It has not got there: what it would have taken there it does not hear any more. */
  readonly stayed: (ears: readonly Subscription[]) => void;
  /** It stands still again: the pool is asked for what is its own. */
  readonly settle: () => void;
  readonly tell: (text: string) => void;
}

/** How an agent becomes another swarm's: the pool says where to, and it goes when nothing runs here any more. */
export class Moving {
  readonly #options: MovingOptions;
  #isOn = false;

  constructor(options: MovingOptions) {
    this.#options = options;
  }

  /** It is on its way. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /**
   * The agent of this name has moved to another swarm, before this process began or while it did not hear it: goes there.
   * Gives how often it is to beat there, in milliseconds; rejects with the refusal when it has not moved.
   */
  async follow(refusal: HiveError): Promise<number> {
    if (refusal.reason !== 'MIGRATED') throw refusal;
    const { here, settled } = this.#options;
    const { hive, swarm, name } = here();
    const last = await settled(() => lastMove(hive, swarm, name));
    if (!last) throw refusal;
    return this.#enter(last.to, last.name, last.id);
  }

  /** Nothing runs here any more, and the pool says where to go. Who cannot go there says so, and stays. */
  async go({ migration, swarm, name, traceparent, correlationId }: AgentMove): Promise<void> {
    const { here, isLeaving, settle, tell } = this.#options;
    if (this.#isOn || isLeaving()) return;
    this.#isOn = true;
    // What the pool has ended here may still be ending, and must not run beside its next attempt in this same process.
    await here().work.drained();
    try {
      if (isLeaving()) return;
      await withTrace({ traceparent, correlationId, hops: 0 }, () => this.#enter(swarm, name, migration));
    } catch (cause) {
      const { message } = HiveError.from(cause);
      tell(`cannot move to swarm ${swarm}: ${message}`);
      const reason = message.slice(0, MAX_REASON_CHARACTERS);
      // Was it done nevertheless, the pool does not know us here any more, and says where we are.
      await here()
        .hive.pool.cancelMigration({ id: migration, reason }, { timeoutMs: MOVE_MS })
        .catch(() => {});
    } finally {
      this.#isOn = false;
      if (!isLeaving()) settle();
    }
  }

  /** Registers in another swarm, with its key, and is that swarm's agent from then on. */
  async #enter(swarm: string, name: string, migration: string): Promise<number> {
    const { here, placeOf, listen, offer, instance, clock, signal, arrived, stayed, tell } = this.#options;
    const hive = await here().hive.as({ kind: 'agent', swarm, name });
    const place = placeOf(hive, swarm, name);
    const ears = listen(place);
    try {
      const request = { ...offerOf(offer, swarm, name, instance), migration };
      const calling = { clock, signal, giveUpMs: MOVE_MS };
      const answer = await untilSettled(() => hive.pool.registerAgent(request), calling);
      arrived(place, ears, answer);
      tell(`has moved to swarm ${swarm}, as ${swarm}/${name}`);
      return answer.heartbeatMs;
    } catch (error) {
      stayed(ears);
      throw error;
    }
  }
}
