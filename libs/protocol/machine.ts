import type { Table } from '../kernel/table.ts';
import type { Principal } from './principal.ts';

/**
 * The one mechanism, as types. A machine is pure and deterministic: no clock, randomness, process, logger or await.
 *
 *     command ─► decide(state, input, ctx) ─► events + reply ─► one record ─► committed ─► everything leaves together
 *                                               │
 *                                        apply(state, event)
 *
 * `decide` reads the state and never changes it; only `apply` does, and the same on every replica and at every replay.
 */
export interface Shape {
  /** Durable tables and indexes derived from them. */
  state: object;
  /** By name: what a command takes and answers, proto3 JSON both. Each is one atomic step. */
  commands: Record<string, { input: unknown; reply: unknown }>;
  /** By name: what a query takes and answers. */
  queries: Record<string, { input: unknown; reply: unknown }>;
  /** By type (`noun.verb`, NATS tokens): what an event holds, the proto3 JSON of a message in proto/. */
  events: Record<string, object>;
  /** What only informs and is never journaled: load, heartbeats. Events keep what was used of it. */
  soft: unknown;
}

export type EventOf<M extends Shape> = {
  [T in keyof M['events'] & string]: { readonly type: T; readonly data: M['events'][T] };
}[keyof M['events'] & string];

/** What a query may look at besides the state. */
export interface View<Soft> {
  /** Milliseconds since 1970, never less than any record's. */
  readonly now: number;
  /** The revision that the answer belongs to. */
  readonly revision: number;
  /** Machine time at which the epoch began: nobody's time runs out sooner than a full term after it. */
  readonly epochStart: number;
  readonly soft: Soft;
}

/** What a decision may look at besides the state. */
export interface Ctx<Soft = unknown> extends View<Soft> {
  /** The leader's epoch: the fencing token of everything that follows from this decision. */
  readonly epoch: number;
  readonly principal: Principal;
  readonly trace: Trace;
  /** A new random id, valid as a name: `<prefix>-<12 characters>`. */
  id(prefix: string): string;
}

/** What follows a message through every hop. */
export interface Trace {
  /** W3C trace context, or empty. */
  readonly traceparent: string;
  readonly correlationId: string;
  readonly hops: number;
}

export interface Decision<M extends Shape, Reply> {
  readonly events: readonly EventOf<M>[];
  /** Asked once, after this decision's own events were applied. */
  readonly reply: () => Reply;
}

/** Where an event stands. */
export interface Stamp {
  /** Sequence of its record in the journal's stream. */
  readonly revision: number;
  /** Its place in the record, from 0. */
  readonly index: number;
  /** Machine time of its record, milliseconds since 1970. */
  readonly time: number;
}

/** Something that must still be done outside: durable until a command says that it is done. */
export interface Effect {
  /** Stable over retries and leaders: the request id of whatever is done. */
  readonly id: string;
  readonly kind: string;
  /** Machine time before which it is not tried; 0 = at once. */
  readonly notBefore: number;
}

export interface Machine<M extends Shape> {
  /** The service's name in subjects and streams, e.g. `pool`. */
  readonly service: string;
  /** Commands that bring new work. They wait behind all others, and are refused when more of them come than can be done. */
  readonly newWork?: ReadonlySet<keyof M['commands'] & string>;
  readonly init: () => M['state'];
  /** The durable tables by name. Everything else in the state is derived from them. */
  readonly tables: (state: M['state']) => Readonly<Record<string, Table<unknown>>>;
  /** Rebuilds what is derived, after the tables were filled from a snapshot. */
  readonly restored: (state: M['state']) => void;
  /** Decides a command; throws a HiveError to refuse it. */
  readonly commands: {
    readonly [N in keyof M['commands']]: (
      state: M['state'],
      input: M['commands'][N]['input'],
      ctx: Ctx<M['soft']>,
    ) => Decision<M, M['commands'][N]['reply']>;
  };
  readonly queries: {
    readonly [N in keyof M['queries']]: (
      state: M['state'],
      input: M['queries'][N]['input'],
      view: View<M['soft']>,
    ) => M['queries'][N]['reply'];
  };
  /** Applies an event: total, never fails. An event that is not listed here stops the machine with its sequence. */
  readonly events: {
    readonly [T in keyof M['events']]: {
      apply(state: M['state'], data: M['events'][T], at: Stamp): void;
      /** The announcement's key: NATS tokens joined by dots; empty = none. Asked after `apply`. */
      key(data: M['events'][T], state: M['state']): string;
    };
  };
  /** Old event types and how they are said today. */
  readonly upcasts?: Readonly<Record<string, (data: never) => EventOf<M>>>;
  /** What must still be done outside, by effect id: rows of a durable table. */
  readonly effects?: (state: M['state']) => Table<Effect>;
  /** Machine time at which `tick` wants to be decided; undefined = never. */
  readonly nextDue: (state: M['state'], epochStart: number) => number | undefined;
  /** What time alone brings about. Must make `nextDue` later or undefined. */
  readonly tick: (state: M['state'], ctx: Ctx<M['soft']>) => readonly EventOf<M>[];
}
