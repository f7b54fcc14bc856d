import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import type { Lease, RequestAgentRequest, RequestAgentResponse } from '../wire/hivebus/pool/v1/pool.ts';
import { type Asked, Asking } from './asking.ts';
import type { Hive } from './hive.ts';
import { renewAfterMs, usableUntil } from './lease-time.ts';

/** An agent of another swarm that works for this one: renewed until it is released. */
export interface BorrowedAgent extends AsyncDisposable {
  readonly lease: Lease;
  /** Aborts when the agent is no longer borrowed: released, revoked, or not renewed in time. */
  readonly signal: AbortSignal;
  /** Gives the agent back; what runs on it for this swarm is finished first. */
  release(): Promise<void>;
}

/** What a lease needs of a connection. */
interface Lender {
  readonly pool: Pick<Hive['pool'], 'renewLease' | 'releaseLease'>;
}

/**
 * Borrows an agent and renews its lease. Rejects with RESOURCE_EXHAUSTED when none is free, at once or after `waitMs`.
 * When `signal` aborts first, the request is taken back, and then this rejects with CANCELLED.
 */
export async function borrow(
  hive: Asked & Lender,
  request: Partial<RequestAgentRequest>,
  clock: Clock,
  signal?: AbortSignal,
): Promise<BorrowedAgent> {
  const sentAt = clock.monotonic();
  const asking = new Asking(hive, request, clock);
  if (signal && (await asking.isAborted(signal))) {
    await asking.giveUp();
    throw new HiveError('CANCELLED', `${asking.id} is not wanted any longer`);
  }
  return hold(hive, await asking.answer, sentAt, clock);
}

/** Renews a lease that was asked for at `sentAt`, on the monotonic clock. */
export async function hold(
  hive: Lender,
  { lease, request: waited }: RequestAgentResponse,
  sentAt: number,
  clock: Clock,
): Promise<BorrowedAgent> {
  if (!lease) throw new HiveError('INTERNAL', 'the pool answered without a lease');
  if (waited === '') return new HeldLease(hive, lease, sentAt, clock);
  // Nobody here knows when it was granted; when a renewal was sent is known.
  const renewedAt = clock.monotonic();
  await hive.pool.renewLease({ lease: lease.id });
  return new HeldLease(hive, lease, renewedAt, clock);
}

class HeldLease implements BorrowedAgent {
  readonly lease: Lease;
  readonly #hive: Lender;
  readonly #clock: Clock;
  readonly #end = new AbortController();
  #usableUntil: number;

  constructor(hive: Lender, lease: Lease, sentAt: number, clock: Clock) {
    this.lease = lease;
    this.#hive = hive;
    this.#clock = clock;
    this.#usableUntil = usableUntil(sentAt, lease.termMs);
    void this.#renew();
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  async release(): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#end.abort(new HiveError('CANCELLED', `lease ${this.lease.id} is released`));
    await this.#hive.pool.releaseLease({ lease: this.lease.id });
  }

  [Symbol.asyncDispose](): Promise<void> {
    // Unheard, the lease ends by itself when its term does.
    return this.release().catch(() => {});
  }

  /**
   * Renews at a third of the term; failing, tries again until the time that is surely the holder's is over. Like a
   * heartbeat it is part of no trace.
   */
  async #renew(): Promise<void> {
    const { id, termMs } = this.lease;
    let waitMs = renewAfterMs(termMs);
    while (!this.#end.signal.aborted) {
      const leftMs = this.#usableUntil - this.#clock.monotonic();
      if (leftMs <= 0) {
        this.#end.abort(new HiveError('DEADLINE_EXCEEDED', `lease ${id} could not be renewed in time`));
        return;
      }
      await pause(this.#clock, Math.min(waitMs, leftMs), this.#end.signal);
      if (this.#end.signal.aborted) return;
      waitMs = (await this.#renewOnce()) ? renewAfterMs(termMs) : renewAfterMs(termMs) / 4;
    }
  }

  async #renewOnce(): Promise<boolean> {
    const sentAt = this.#clock.monotonic();
    const timeoutMs = Math.max(1, Math.ceil(this.#usableUntil - sentAt));
    try {
      await this.#hive.pool.renewLease(
        { lease: this.lease.id },
        { timeoutMs, signal: this.#end.signal, trace: BACKGROUND },
      );
      this.#usableUntil = usableUntil(sentAt, this.lease.termMs);
      return true;
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code === 'FAILED_PRECONDITION' || error.code === 'NOT_FOUND') this.#end.abort(error);
      return false;
    }
  }
}
