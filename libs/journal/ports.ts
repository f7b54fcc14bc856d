import type { ErrorJson, HiveError } from '../kernel/errors.ts';
import type { Call } from '../protocol/call.ts';
import type { Stamp, Trace } from '../protocol/machine.ts';

/**
 * What the journal needs from outside, so that the same code runs on JetStream and in the simulation.
 * Nothing here decides anything.
 */

/** epoch: a leader begins; group: what a leader decided; skip: an operator says that a record shall be passed over. */
export type RecordKind = 'epoch' | 'group' | 'skip';

/** Who wrote a record. One without it, or with another than the current epoch's, is void. */
export interface Envelope {
  /** The record's own id: the writer's random id and a counter. Never used twice. */
  readonly id: string;
  readonly kind: RecordKind;
  readonly epoch: number;
  readonly writer: string;
}

/** A message of the journal's stream as it was read. */
export interface Entry {
  readonly seq: number;
  /** Undefined when the message does not have the headers of a record. */
  readonly envelope: Envelope | undefined;
  readonly body: Uint8Array;
}

/**
 * How an append ended.
 * committed: the acknowledgement carries the expected sequence plus one.
 * refused: "wrong last sequence" on a first try: somebody else writes.
 * unknown: anything else. It may be there, or come to be there; `error` says what was seen.
 */
export type Appended =
  | { readonly outcome: 'committed' }
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'unknown'; readonly error: HiveError };

export interface Bounds {
  /** The first sequence that is still there (last + 1 when none is). */
  readonly first: number;
  /** The last sequence that was ever given out; 0 = none. */
  readonly last: number;
}

export interface Log {
  /** Appends when `expected` is the last sequence. One at a time. Never rejects. */
  append(expected: number, envelope: Envelope, body: string, trace: string): Promise<Appended>;
  /** The entry at `seq`, from the stream's own leader; undefined when nothing is there. Rejects when it cannot tell. */
  entryAt(seq: number): Promise<Entry | undefined>;
  bounds(): Promise<Bounds>;
  /** Calls `onEntry` for what comes after `after`, in order; `onBroken` once when it cannot go on. */
  follow(after: number, onEntry: (entry: Entry) => void, onBroken: (error: HiveError) => void): Disposable;
  /** The first sequence that was stored at or after `time` (milliseconds since 1970), at most `limit`. */
  firstSince(time: number, limit: number): Promise<number>;
  /** Removes everything up to and with `seq`. */
  purge(seq: number): Promise<void>;
}

/** Immutable contents, named `<revision>-<hash>`. */
export interface SnapshotStore {
  names(): Promise<string[]>;
  /** Undefined when there is none of that name (any more). */
  get(name: string): Promise<Uint8Array | undefined>;
  put(name: string, content: Uint8Array): Promise<void>;
  delete(name: string): Promise<void>;
}

/** A command or query on its way to the leader. */
export interface Forwarded {
  readonly kind: 'command' | 'query';
  readonly name: string;
  readonly input: unknown;
  readonly token: string;
  readonly trace: Trace;
  readonly request?: Call['request'];
}

export type ForwardReply = { readonly reply: unknown } | { readonly error: ErrorJson };

/**
 * alive: somebody leads, or is about to; none: nobody listens; silent: no answer in time; deaf: the connection is down, or
 * was a moment ago, so that nothing can be said of others.
 */
export type Probe = 'alive' | 'none' | 'silent' | 'deaf';

/** The private subject on which the leader listens. */
export interface LeaderLine {
  /** Listens until disposed. `onBeat` hears the epochs of others: of standbys that probe and of new leaders. */
  listen(serve: (forwarded: unknown) => Promise<ForwardReply>, onBeat: (epoch: number) => void): Disposable;
  /** Asks whether somebody listens, telling one's own epoch. Never rejects. */
  probe(epoch: number, timeoutMs: number): Promise<Probe>;
  /** Tells everybody on the line that `epoch` has begun. */
  beat(epoch: number): void;
  /** Rejects with UNAVAILABLE, reason NOBODY_LEADS, when nobody listens; reason NO_ANSWER when none came in time. */
  forward(forwarded: Forwarded, signal: AbortSignal): Promise<ForwardReply>;
}

/** One event on its way to people, dashboards and agents. */
export interface Announcement {
  readonly type: string;
  readonly key: string;
  readonly json: string;
  /** Of the JSON as UTF-8. */
  readonly bytes: number;
  readonly at: Stamp;
  readonly epoch: number;
  trace: Trace;
}

export interface Announcer {
  announce(announcements: readonly Announcement[]): void;
}

/** Metrics, spans and logs. */
export interface Observer {
  /** A group is about to be appended; the result is told when it has ended. */
  appending(group: { commands: number; bytes: number; traces: () => readonly Trace[] }): AppendObserver | undefined;
  count(what: 'refused' | 'unknown' | 'void' | 'takeover' | 'reload' | 'snapshot' | 'effect' | 'effect-failed'): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object): void;
}

export interface AppendObserver {
  /** W3C trace context of the append, to go with the record. */
  readonly traceparent: string;
  /** The trace of what follows from a command of the group. */
  follow(trace: Trace): Trace;
  ended(outcome: Appended['outcome']): void;
}

/** What the simulation breaks on purpose, to show that it would notice. */
export interface Sabotage {
  readonly replyBeforeCommit?: boolean;
  readonly ignoreEpoch?: boolean;
}
