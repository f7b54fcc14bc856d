import type { Clock } from '../kernel/clock.ts';
import type { HiveError } from '../kernel/errors.ts';

export interface PoolSessionOptions {
  /** gRPC addresses of pools, `host:port`; when a stream breaks the next one is tried. */
  readonly addresses: readonly string[];
  /** A valid token at any time. */
  readonly token: () => string;
  /** Default `main`. */
  readonly federation?: string;
  /** How many calls may be unanswered at a time, 1 to 512; more wait here. Default 64. */
  readonly window?: number;
  /**
   * How long a server may take to answer the opening of a stream before the next address is tried, in milliseconds; after
   * each round in which all were silent twice as long, up to a minute. Default 5000. Calls may take longer.
   */
  readonly openingMs?: number;
  /** Told when a stream breaks; calls wait, and are repeated on the next. What it throws ends the session. */
  readonly onBreak?: (error: HiveError) => void;
  /** Ends the session at once: what is not answered is rejected with CANCELLED, and may have happened. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}
