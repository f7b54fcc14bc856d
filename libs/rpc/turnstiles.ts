import type { Clock } from '../kernel/clock.ts';
import { type HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import type { Principal } from '../protocol/principal.ts';

/** Calls that a caller may have refused for want of room before it is looked at how many he makes. */
const IN_HAND = 500;
/** Each call that is taken lets so many more in: a little more than are taken, so that all room that there is gets used. */
const FOR_EACH_TAKEN = 1.2;
/** And so many each second, to find out whether there is room again. */
const PER_SECOND = 100;
/** Who is not let in waits for so long, in ms, whatever comes then: most of it need not be looked at one by one. */
const CLOSED_MS = 50;
/** When there has been room for everybody for so long, in ms, nobody is counted. */
const CALM_MS = 10_000;

/**
 * Who is told that there is no room, and goes on as before, is told so again at the door: by the caller and the method, from
 * what was told last, before the request is read. Reading, checking and deciding a call costs ten times as much as
 * refusing it there, and what is too much can be ten times what can be done.
 *
 * The idea is adaptive throttling ("Site Reliability Engineering", chapter 21), with a budget in place of a probability.
 */
export class Turnstiles {
  readonly #clock: Clock;
  /** A principal is the same object as long as its token is, so what is known of a caller goes with it. */
  #of = new WeakMap<Principal, Map<string, Turnstile>>();
  #countsUntilMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Was anybody told lately that there is no room? */
  get areCounting(): boolean {
    return this.#clock.monotonic() < this.#countsUntilMs;
  }

  /** Lets a call in, or throws why not. */
  letIn(caller: Principal, method: string): void {
    const refusal = this.#turnstile(caller, method)?.letIn(this.#clock.monotonic());
    if (refusal) throw refusal;
  }

  /** What the next call would be refused with, if it would. */
  foreseen(caller: Principal, method: string): HiveError | undefined {
    return this.#turnstile(caller, method)?.foreseen(this.#clock.monotonic());
  }

  /** A call that was let in has ended: `error` is why it was refused, if it was. */
  ended(caller: Principal, method: string, error?: HiveError): void {
    if (error && isForWantOfRoom(error)) this.#noRoom(caller, method, error);
    else this.#turnstile(caller, method)?.taken();
  }

  #turnstile(caller: Principal, method: string): Turnstile | undefined {
    // Nobody was ever told: that is the rule, and shall cost nothing.
    if (this.#countsUntilMs === Number.NEGATIVE_INFINITY || !this.areCounting) return undefined;
    return this.#of.get(caller)?.get(method);
  }

  #noRoom(caller: Principal, method: string, error: HiveError): void {
    if (caller.kind === 'anonymous') return; // one for all of them: nobody shall be refused for another's calls
    const nowMs = this.#clock.monotonic();
    if (!this.areCounting) this.#of = new WeakMap();
    this.#countsUntilMs = nowMs + CALM_MS;
    const methods = this.#of.get(caller) ?? new Map<string, Turnstile>();
    const turnstile = methods.get(method);
    if (turnstile) turnstile.last = error;
    else this.#of.set(caller, methods.set(method, new Turnstile(error, nowMs)));
  }
}

class Turnstile {
  last: HiveError;
  #left = IN_HAND;
  #atMs: number;
  #closedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(last: HiveError, nowMs: number) {
    this.last = last;
    this.#atMs = nowMs;
  }

  letIn(nowMs: number): HiveError | undefined {
    const refusal = this.foreseen(nowMs);
    if (!refusal) this.#left--;
    else if (nowMs >= this.#closedUntilMs) this.#closedUntilMs = nowMs + CLOSED_MS;
    return refusal;
  }

  foreseen(nowMs: number): HiveError | undefined {
    if (nowMs < this.#closedUntilMs) return this.last;
    this.#left = Math.min(IN_HAND, this.#left + ((nowMs - this.#atMs) / 1000) * PER_SECOND);
    this.#atMs = nowMs;
    return this.#left < 1 ? this.last : undefined;
  }

  taken(): void {
    this.#left = Math.min(IN_HAND, this.#left + FOR_EACH_TAKEN);
  }
}
