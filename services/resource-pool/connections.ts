import { type Clock, pause } from '../../libs/kernel/clock.ts';
import type { AgentLine } from './agent-line.ts';
import { Rounds } from './rounds.ts';

export interface ConnectionsOptions {
  readonly line: Pick<AgentLine, 'probe'>;
  readonly clock: Clock;
  /** An agent that is watched is asked so often, in milliseconds, if there are not too many of them. */
  readonly everyMs: number;
  /**
   * After the bus, or what else was between us, was gone, agents get so long, in milliseconds, to come back; and after we
   * have come to the bus ourselves, since it may have started just then.
   */
  readonly settleMs: number;
  /** The agent's instance, if it is still of interest; else it is not watched any more. */
  readonly instanceOf: (agent: string) => string | undefined;
  /** Whether it may be something else that is gone: a replica that has served its session. */
  readonly mayReturn: (agent: string) => boolean;
  /** The instance's connection is closed. */
  readonly onClosed: (agent: string, instance: string) => void;
}

/** All agents together are asked so often a second, at most; some 25 µs of the pool's time each. */
const MOST_A_SECOND = 500;
/** What was asked and not answered is forgotten after so long, in milliseconds. */
const PROBE_TIMEOUT_MS = 500;
/** A connection that seems closed is asked for once more after so long, in milliseconds: it may be about to return. */
const ASK_AGAIN_MS = 100;

/**
 * Whose connection is closed. A process that is killed closes its socket at once, so the NATS server knows within a
 * millisecond, and says "no responders" to whoever asks on the subject where the agent's instance listens. So all that
 * counts is to ask soon: whoever is watched, every `everyMs`; of many, those first who were neither heard nor asked for
 * the longest time. A question waits for no other: one that was delivered to a process that dies is never answered.
 *
 * Only "no responders" says anything, and a starved machine does not make the server say it. It is asked for twice; an
 * agent by a session gets longer in between, since it may have lost its replica only, and is about to come by another.
 */
export class Connections implements Disposable {
  readonly #options: ConnectionsOptions;
  readonly #rounds = new Rounds();
  /** Agents whose connection seems closed, and who will be asked again. */
  readonly #doubted = new Set<string>();
  /** Agents that were heard since the bus came back: they have come back as well. */
  readonly #back = new Set<string>();
  readonly #closing: AbortSignal;
  #timer: Disposable | undefined;
  #connectedSince: number;
  #deaf = false;

  constructor(options: ConnectionsOptions, closing: AbortSignal) {
    this.#options = options;
    this.#closing = closing;
    this.#connectedSince = this.#now();
  }

  /** From now on the agent is asked, until it is of no interest any more. */
  watch(agent: string): void {
    this.#rounds.watch(agent, this.#now());
    this.#timer ??= this.#later();
  }

  heard(agent: string): void {
    this.#rounds.heard(agent, this.#now());
    if (!this.#isSettled()) this.#back.add(agent);
  }

  deaf(): void {
    this.#deaf = true;
  }

  hearing(): void {
    this.#deaf = false;
    this.#connectedSince = this.#now();
    this.#back.clear();
  }

  /** Nobody listens for the instance: asks once more, and tells if that is so. */
  async doubt(agent: string, instance: string): Promise<void> {
    const who = `${agent} ${instance}`;
    if (!this.#mayJudge(agent) || this.#doubted.has(who)) return;
    this.#doubted.add(who);
    const { clock, line, settleMs, mayReturn, onClosed } = this.#options;
    await pause(clock, mayReturn(agent) ? settleMs : ASK_AGAIN_MS, this.#closing);
    const heard = await line.probe({ agent, instance }, PROBE_TIMEOUT_MS, this.#closing);
    this.#doubted.delete(who);
    if (heard === 'nobody' && this.#mayJudge(agent)) onClosed(agent, instance);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** While nobody is watched, nothing runs. */
  #later(): Disposable {
    return this.#options.clock.after(this.#options.everyMs, () => {
      this.#ask();
      this.#timer = this.#rounds.size > 0 ? this.#later() : undefined;
    });
  }

  #ask(): void {
    if (this.#deaf) return;
    const { everyMs, instanceOf } = this.#options;
    const most = Math.ceil((MOST_A_SECOND * everyMs) / 1000);
    // All at once, since waking up costs more than asking; who has just been heard waits for the next time.
    for (const agent of this.#rounds.next(this.#now(), everyMs / 2, most)) {
      const instance = instanceOf(agent);
      if (instance === undefined) this.#rounds.drop(agent);
      else void this.#askOne(agent, instance);
    }
  }

  async #askOne(agent: string, instance: string): Promise<void> {
    const heard = await this.#options.line.probe({ agent, instance }, PROBE_TIMEOUT_MS, this.#closing);
    if (heard === 'nobody') await this.doubt(agent, instance);
  }

  /** Who was heard since the bus is here need not come back to it. */
  #mayJudge(agent: string): boolean {
    return !this.#deaf && (this.#isSettled() || this.#back.has(agent));
  }

  #isSettled(): boolean {
    return this.#now() - this.#connectedSince >= this.#options.settleMs;
  }

  #now(): number {
    return this.#options.clock.monotonic();
  }
}
