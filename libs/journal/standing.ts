import { HiveError } from '../kernel/errors.ts';
import { Changes } from './changes.ts';
import type { Role } from './journal.ts';
import type { Observer } from './ports.ts';

/** How a replica stands: its role, what is in its way, and who waits for a change. */
export class Standing {
  readonly #service: string;
  readonly #observer: Observer;
  readonly #changes = new Changes();
  #role: Role = 'starting';
  #failure: HiveError | undefined;
  #leaderKnown = false;
  #obstacle: HiveError | undefined;
  #unreached: string | undefined;

  constructor(service: string, observer: Observer) {
    this.#service = service;
    this.#observer = observer;
  }

  get role(): Role {
    return this.#role;
  }

  /** Why it has stopped for good; undefined while it has not. */
  get failure(): HiveError | undefined {
    return this.#failure;
  }

  /** Why the last campaign came to nothing, when it was not another who won. */
  get obstacle(): HiveError | undefined {
    return this.#obstacle;
  }

  /** Has it caught up, and does somebody lead? */
  get isReady(): boolean {
    return this.#role === 'leader' || (this.#role === 'standby' && this.#leaderKnown);
  }

  /** Why nothing can be read. */
  get notServing(): HiveError {
    return this.#failure ?? notReady(this.#service);
  }

  become(role: Role): void {
    this.#role = role;
    this.#changes.tell();
  }

  /** Stops for good. */
  fail(error: HiveError): void {
    this.#observer.log('error', error.message);
    this.#failure = error;
    this.become('stopped');
  }

  leaderHeard(isAlive: boolean): void {
    this.#leaderKnown = isAlive;
    if (isAlive) this.#obstacle = undefined;
    this.#changes.tell();
  }

  resigned(): void {
    this.#leaderKnown = false;
    this.become('standby');
  }

  hinder(obstacle: HiveError | undefined): void {
    const isNews = obstacle && obstacle.message !== this.#obstacle?.message;
    if (isNews) this.#observer.log('warn', 'cannot begin to lead', { why: obstacle.message });
    this.#obstacle = obstacle;
  }

  /** Says what keeps it from the journal; the same again is no news. */
  cannotReach({ message }: HiveError): void {
    if (message !== this.#unreached) {
      this.#observer.log('warn', 'the journal cannot be reached', { why: message });
    }
    this.#unreached = message;
  }

  reached(): void {
    this.#unreached = undefined;
  }

  /** Something else has changed: a revision. */
  tell(): void {
    this.#changes.tell();
  }

  /** Resolves at the next change, or when `signal` aborts. */
  next(signal: AbortSignal | undefined): Promise<void> {
    return this.#changes.next(signal);
  }

  /** Throws when it has stopped, or `signal` aborts before. */
  async until(condition: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    while (!condition()) {
      if (this.#failure) throw this.#failure;
      if (signal?.aborted || this.#role === 'stopped') throw notReady(this.#service);
      await this.#changes.next(signal);
    }
  }
}

const notReady = (service: string): HiveError =>
  new HiveError('UNAVAILABLE', `${service} is still loading its journal; try again`, { reason: 'NOT_READY' });
