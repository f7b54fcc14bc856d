import type { Call } from '../protocol/call.ts';
import type { EventOf, Shape } from '../protocol/machine.ts';

/** starting: loading and catching up; standby: follows; leader: decides; stopped: for good, see `failure`. */
export type Role = 'starting' | 'standby' | 'leader' | 'stopped';

/** One record, as watchers see it: only after it was committed. */
export interface Committed<M extends Shape> {
  readonly revision: number;
  /** Machine time, milliseconds since 1970. */
  readonly time: number;
  readonly epoch: number;
  readonly events: readonly EventOf<M>[];
}

export interface QueryOptions {
  /** Wait until this replica knows at least this revision. */
  readonly minRevision?: number;
  /** Answer from the leader, after everything that was accepted before. */
  readonly linearizable?: boolean;
}

/** One service's journal in one federation: a machine, run by one leader and followed by any number of standbys. */
export interface Journal<M extends Shape> extends AsyncDisposable {
  readonly federation: string;
  readonly role: Role;
  /** The last committed revision that this replica knows. */
  readonly revision: number;
  /**
   * The state at `revision`, to be read and never changed. On a leader with a record in flight it may be ahead: what
   * rests on committed rows asks its tables for `committed`.
   */
  readonly state: M['state'];
  /** Resolves when this replica has caught up and somebody leads; rejects when it cannot. */
  ready(signal?: AbortSignal): Promise<void>;
  /** Decides a command on the leader, wherever that is; resolves after commit, rejects with a HiveError. */
  execute<N extends keyof M['commands'] & string>(
    name: N,
    input: M['commands'][N]['input'],
    call: Call,
  ): Promise<M['commands'][N]['reply']>;
  /** Answers from committed state: of this replica, or of the leader when linearizable. */
  query<N extends keyof M['queries'] & string>(
    name: N,
    input: M['queries'][N]['input'],
    call: Call,
    options?: QueryOptions,
  ): Promise<M['queries'][N]['reply']>;
  /**
   * Every record after `from`, in order, without gaps; 0 = from now on. Ends after `until`, where that is given.
   * Rejects with OUT_OF_RANGE, reason COMPACTED, when some of them are no longer kept or the watcher is too slow.
   */
  watch(from: number, signal: AbortSignal, until?: number): AsyncIterable<Committed<M>>;
  /**
   * The revision after which everything comes that was stored at or after `time` (milliseconds since 1970), never 0;
   * `compacted`: some of that is no longer kept.
   */
  before(time: number, signal: AbortSignal): Promise<{ readonly revision: number; readonly compacted: boolean }>;
  /** Calls `listener` after each commit that this replica learns of; for soft state that follows the durable one. */
  onCommitted(listener: (committed: Committed<M>) => void): Disposable;
}
