import type { Entry } from '../../../libs/journal/ports.ts';
import type { Table } from '../../../libs/kernel/table.ts';

/** What the stream itself says happened, read by other code than the journal's: the checker's own idea of fencing. */
export class Truth {
  readonly #history: readonly Entry[];
  #read = 0;
  #epoch = 0;
  #writer = '';
  /** Answers by request id, each with how often it is in the log. */
  readonly requests = new Map<string, { outcome: unknown; times: number; seq: number }>();
  /** Events by `revision.index`. */
  readonly events = new Map<string, string>();
  /** Records with events, in order: their sequences. */
  readonly revisions: number[] = [];
  /** How often each line is in the log, by its tag. */
  readonly lines = new Map<string, number>();
  /** Lines appended up to and with a sequence; the index is the sequence. */
  readonly totals: number[] = [0];
  readonly debts = new Set<string>();
  /** Refusals in the log that should not be there: for want of room, which is said and not kept. */
  readonly keptForWantOfRoom: string[] = [];

  constructor(history: readonly Entry[]) {
    this.#history = history;
  }

  /** Reads what was stored since the last call. */
  catchUp(): this {
    for (; this.#read < this.#history.length; this.#read++) {
      const entry = this.#history[this.#read] as Entry;
      this.totals[entry.seq] = this.totals[entry.seq - 1] as number;
      this.#take(entry);
    }
    return this;
  }

  #take({ seq, envelope, body }: Entry): void {
    if (!envelope) return;
    if (envelope.kind === 'epoch') {
      if (envelope.epoch !== this.#epoch + 1) return;
      this.#epoch = envelope.epoch;
      this.#writer = envelope.writer;
      return;
    }
    if (envelope.epoch !== this.#epoch || envelope.writer !== this.#writer) return;
    const { c } = JSON.parse(Buffer.from(body).toString()) as { c: Decided[] };
    let index = 0;
    for (const { r, e, y, x } of c) {
      if (r) {
        const key = r.join(':');
        if (x?.code === 'RESOURCE_EXHAUSTED') this.keptForWantOfRoom.push(key);
        const times = (this.requests.get(key)?.times ?? 0) + 1;
        this.requests.set(key, { outcome: x ? { code: x.code } : y, times, seq });
      }
      for (const { type, data } of e) {
        this.events.set(`${seq}.${index++}`, `${type} ${JSON.stringify(data)}`);
        if (type === 'line.appended') this.#line(seq, data['tag'] as string);
        if (type === 'debt.owed') this.debts.add(data['effect'] as string);
      }
    }
    if (index > 0) this.revisions.push(seq);
  }

  #line(seq: number, tag: string): void {
    (this.totals[seq] as number)++;
    this.lines.set(tag, (this.lines.get(tag) ?? 0) + 1);
  }
}

interface Decided {
  r?: [string, number];
  e: { type: string; data: Record<string, unknown> }[];
  y?: { n: number };
  x?: { code: string };
}

/** All rows of a set of tables, as one text. */
export const dump = (tables: Readonly<Record<string, Table<unknown>>>): string =>
  JSON.stringify(Object.entries(tables).map(([name, table]) => [name, [...table.entries()]]));
