import { HiveError } from '../kernel/errors.ts';
import { Table } from '../kernel/table.ts';
import type { EventOf, Machine, Shape, Stamp } from '../protocol/machine.ts';
import type { Committed } from './journal.ts';
import type { Entry } from './ports.ts';
import { corrupt, type DecidedJson, decodeEpoch, decodeGroup, decodeSkip, type SkipJson } from './record.ts';
import { Sessions, sessionKey } from './sessions.ts';

/** Where an epoch began. */
export interface EpochMark {
  readonly epoch: number;
  readonly writer: string;
  /** Sequence of its epoch record. */
  readonly seq: number;
  /** Machine time at which it began. */
  readonly time: number;
}

/** Epochs that are remembered, so that a watcher can tell void records far back. */
const MAX_MARKS = 256;

export const NO_EPOCH: EpochMark = { epoch: 0, writer: '', seq: 0, time: 0 };

/**
 * Does this entry count? The whole of fencing: a group counts when it carries the epoch and the writer of the epoch
 * that is current where it stands, an epoch record when it is the next one. Everything else is void for every
 * replica, so neither a deposed leader nor a stray publish can do harm.
 */
export function admit(entry: Entry, current: EpochMark): 'epoch' | 'group' | 'skip' | 'void' {
  const envelope = entry.envelope;
  if (!envelope) return 'void';
  if (envelope.kind === 'epoch') return envelope.epoch === current.epoch + 1 ? 'epoch' : 'void';
  if (envelope.kind === 'skip') return 'skip';
  return envelope.epoch === current.epoch && envelope.writer === current.writer ? 'group' : 'void';
}

/** The events of a record, in the words of today. Throws where one is unknown. */
export function eventsOf<M extends Shape>(machine: Machine<M>, seq: number, decided: readonly DecidedJson[]) {
  const events: EventOf<M>[] = [];
  for (const { e } of decided) {
    for (const event of e) events.push(known(machine, seq, event));
  }
  return events;
}

function known<M extends Shape>(machine: Machine<M>, seq: number, event: { type: string; data: object }): EventOf<M> {
  if (Object.hasOwn(machine.events, event.type)) return event as EventOf<M>;
  const upcast = machine.upcasts?.[event.type];
  if (!upcast) throw corrupt(seq, `its event ${event.type} is not known to this version`);
  return upcast(event.data as never);
}

/** Everything that follows from the records up to `seq`, and nothing else. */
export class Replica<M extends Shape> {
  readonly machine: Machine<M>;
  readonly state: M['state'];
  readonly sessions = new Sessions();
  /** Records that operators have marked to be passed over, by sequence. */
  readonly skipped = new Table<SkipJson>();
  /** Newest last. */
  marks: EpochMark[] = [];
  /** The last sequence that was looked at, void or not. */
  seq = 0;
  /** Machine time of the last record, milliseconds since 1970. */
  time = 0;
  voided = 0;

  /** Of which its epochs must be; undefined = any. */
  readonly #incarnation: string | undefined;

  constructor(machine: Machine<M>, incarnation?: string) {
    this.machine = machine;
    this.#incarnation = incarnation;
    this.state = machine.init();
  }

  get epoch(): EpochMark {
    return this.marks.at(-1) ?? NO_EPOCH;
  }

  /** All durable tables: the machine's and the sessions. */
  tables(): Readonly<Record<string, Table<unknown>>> {
    return {
      ...this.machine.tables(this.state),
      $sessions: this.sessions.table as Table<unknown>,
      $skipped: this.skipped as Table<unknown>,
    };
  }

  /**
   * Takes the entry after the last one. Undefined when it is void or has no events.
   * Throws DATA_LOSS when it counts and cannot be understood; nothing of it is applied then.
   */
  take(entry: Entry): Committed<M> | undefined {
    switch (admit(entry, this.epoch)) {
      case 'void':
        this.voided++;
        return this.pass(entry);
      case 'skip':
        return this.#remember(entry);
      case 'epoch':
        this.#begin(entry);
        return undefined;
      case 'group':
        return this.#takeGroup(entry);
    }
  }

  /** Leaves an entry without effect. */
  pass(entry: Entry): undefined {
    this.seq = entry.seq;
    return undefined;
  }

  /** Applies one event of the record that `at` names. */
  apply(event: EventOf<M>, at: Stamp): void {
    this.machine.events[event.type].apply(this.state, event.data, at);
  }

  #remember(entry: Entry): undefined {
    const mark = decodeSkip(entry);
    if (mark) this.skipped.set(String(mark.skip), mark);
    return this.pass(entry);
  }

  #begin(entry: Entry): void {
    const { t, incarnation } = decodeEpoch(entry);
    if (this.#incarnation !== undefined && incarnation !== this.#incarnation) {
      throw otherIncarnation(entry.seq, incarnation, this.#incarnation);
    }
    const { epoch, writer } = entry.envelope as { epoch: number; writer: string };
    this.time = Math.max(this.time, t);
    this.seq = entry.seq;
    this.mark({ epoch, writer, seq: entry.seq, time: this.time });
  }

  mark(mark: EpochMark): void {
    this.marks = [...this.marks.slice(1 - MAX_MARKS), mark];
  }

  #takeGroup(entry: Entry): Committed<M> | undefined {
    const group = decodeGroup(entry);
    const events = eventsOf(this.machine, entry.seq, group.c);
    events.forEach((event, index) => {
      this.apply(event, { revision: entry.seq, index, time: group.t });
    });
    for (const { r, n, h, p, y, x } of group.c) {
      if (r) this.sessions.remember(sessionKey(p, r[0]), r[1], { n, ...(h ? { h } : {}), ...(x ? { x } : { y }) });
    }
    this.time = Math.max(this.time, group.t);
    this.seq = entry.seq;
    return events.length === 0 ? undefined : { revision: entry.seq, time: group.t, epoch: this.epoch.epoch, events };
  }
}

/** Its records have nothing to do with the snapshots, nor with what was accepted here. */
const otherIncarnation = (seq: number, found: string, wanted: string): HiveError =>
  new HiveError(
    'DATA_LOSS',
    `the journal's record ${seq} begins an epoch of incarnation ${found}, and this stream is of ${wanted}: it was written ` +
      'into a stream that is not its own; restore stream and snapshots from one backup, or remove both to begin anew',
    { reason: 'INCARNATIONS_DIFFER' },
  );
