import type { Ctx, EventOf, Machine, Shape, Stamp } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';

/** What a test says of one call. Time and epoch stay as they were in the call before, the rest as at the start. */
export interface RunOptions<M extends Shape> {
  readonly principal?: Principal;
  /** Machine time, milliseconds since 1970; never goes back. */
  readonly now?: number;
  readonly epochStart?: number;
  readonly soft?: M['soft'];
}

export interface Happened<M extends Shape> {
  readonly event: EventOf<M>;
  readonly stamp: Stamp;
  /** The announcement's key. */
  readonly key: string;
}

/** A table's rows by table and key, for comparing states. */
export type Rows = Record<string, Record<string, unknown>>;

export interface MachineRunner<M extends Shape> {
  readonly state: M['state'];
  /** Everything that has happened, oldest first. */
  readonly events: readonly Happened<M>[];
  /** Decides and applies a command, and answers as a journal would; throws the refusal. */
  execute<N extends keyof M['commands'] & string>(
    name: N,
    input: M['commands'][N]['input'],
    options?: RunOptions<M>,
  ): M['commands'][N]['reply'];
  query<N extends keyof M['queries'] & string>(
    name: N,
    input: M['queries'][N]['input'],
    options?: RunOptions<M>,
  ): M['queries'][N]['reply'];
  /** Ticks at `now`, or when the machine wants it, until nothing is due; gives what happened. */
  tick(now?: number): readonly EventOf<M>[];
  nextDue(): number | undefined;
  rows(state?: M['state']): Rows;
  /** A fresh state made from the events as JSON: must have the same rows. */
  replay(): M['state'];
  /** A fresh state made from the rows as JSON, as from a snapshot: must have the same rows and answers. */
  restore(): M['state'];
}

/** Runs a machine in memory without a journal: one record for each decision, with the time that the test gives. */
export function runMachine<M extends Shape>(machine: Machine<M>, start: Required<RunOptions<M>>): MachineRunner<M> {
  const state = machine.init();
  const events: Happened<M>[] = [];
  let at = start;
  let revision = 0;
  let ids = 0;

  const context = (options: RunOptions<M>): Ctx<M['soft']> => {
    const { now = 0, epochStart = at.epochStart } = options;
    at = { ...at, now: Math.max(at.now, now), epochStart };
    return {
      ...at,
      ...options,
      now: at.now,
      revision: revision + 1,
      epoch: 1,
      trace: { traceparent: '', correlationId: 'test', hops: 0 },
      id: (prefix) => `${prefix}-${String(++ids).padStart(12, '0')}`,
    };
  };

  const append = (decided: readonly EventOf<M>[]) => {
    revision++;
    decided.forEach((event, index) => {
      const stamp = { revision, index, time: at.now };
      applyEvent(machine, state, event, stamp);
      events.push({ event, stamp, key: machine.events[event.type].key(event.data, state) });
    });
  };

  return {
    state,
    events,
    execute(name, input, options = {}) {
      const decision = machine.commands[name](state, input, context(options));
      append(decision.events);
      return decision.reply();
    },
    query: (name, input, options = {}) => machine.queries[name](state, input, { ...context(options), revision }),
    tick(now) {
      const from = events.length;
      let due = machine.nextDue(state, at.epochStart);
      const until = now ?? due ?? 0;
      while (due !== undefined && due <= until) {
        const decided = machine.tick(state, context({ now: until } as RunOptions<M>));
        if (decided.length === 0) throw new Error(`tick at ${until} decided nothing and left ${due} due`);
        append(decided);
        due = machine.nextDue(state, at.epochStart);
      }
      return events.slice(from).map((happened) => happened.event);
    },
    nextDue: () => machine.nextDue(state, at.epochStart),
    rows: (of = state) => rowsOf(machine, of),
    replay() {
      const fresh = machine.init();
      for (const { event, stamp } of events) applyEvent(machine, fresh, asJson(event), stamp);
      return fresh;
    },
    restore() {
      const fresh = machine.init();
      const tables = machine.tables(fresh);
      for (const [table, rows] of Object.entries(rowsOf(machine, state)))
        for (const [key, row] of Object.entries(rows)) tables[table]?.set(key, asJson(row));
      machine.restored(fresh);
      return fresh;
    },
  };
}

const asJson = <T>(value: T): T => JSON.parse(JSON.stringify(value));

function applyEvent<M extends Shape>(machine: Machine<M>, state: M['state'], event: EventOf<M>, stamp: Stamp): void {
  machine.events[event.type].apply(state, event.data, stamp);
}

function rowsOf<M extends Shape>(machine: Machine<M>, state: M['state']): Rows {
  return Object.fromEntries(
    Object.entries(machine.tables(state)).map(([name, table]) => [name, Object.fromEntries(table.entries())]),
  );
}
