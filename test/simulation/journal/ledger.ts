import { HiveError } from '../../../libs/kernel/errors.ts';
import { Table } from '../../../libs/kernel/table.ts';
import type { Effect, Machine, Shape } from '../../../libs/protocol/machine.ts';

/** A small machine with everything that the journal serves: order, refusals, effects, timers, retention. */
export interface LedgerShape extends Shape {
  state: { lines: Table<Line>; totals: Table<{ value: number }>; effects: Table<Effect> };
  commands: {
    append: { input: { tag: string }; reply: { n: number; revision: number } };
    owe: { input: { tag: string }; reply: { effect: string } };
    settle: { input: { effect: string }; reply: Record<string, never> };
  };
  queries: { total: { input: Record<string, never>; reply: { total: number; revision: number } } };
  events: {
    'line.appended': { tag: string; n: number };
    'line.expired': { tag: string };
    'debt.owed': { effect: string };
    'debt.settled': { effect: string };
  };
  soft: undefined;
}

interface Line {
  readonly n: number;
  readonly since: number;
}

const LINE_TTL_MS = 700;
/** Lines that may stand at once; more are refused for want of room. */
const MAX_LINES = 30;

const total = (state: LedgerShape['state']): number => state.totals.get('lines')?.value ?? 0;

const append =
  (maxLines: number): Machine<LedgerShape>['commands']['append'] =>
  (state, { tag }, ctx) => {
    if (tag.startsWith('bad')) throw new HiveError('FAILED_PRECONDITION', `${tag} is refused`);
    if (state.lines.size >= maxLines) throw new HiveError('RESOURCE_EXHAUSTED', 'no room', { retryable: true });
    const n = total(state) + 1;
    return {
      events: [{ type: 'line.appended', data: { tag, n } }],
      reply: () => ({ n: total(state), revision: ctx.revision }),
    };
  };

export const ledger: Machine<LedgerShape> = {
  service: 'ledger',
  newWork: new Set(['append']),
  init: () => ({ lines: new Table(), totals: new Table(), effects: new Table() }),
  tables: (state) => ({
    lines: state.lines as Table<unknown>,
    totals: state.totals as Table<unknown>,
    effects: state.effects as Table<unknown>,
  }),
  restored: () => {},
  commands: {
    append: append(MAX_LINES),
    owe(state, { tag }) {
      const effect = `debt-${tag}`;
      if (state.effects.has(effect)) throw new HiveError('ALREADY_EXISTS', effect);
      return { events: [{ type: 'debt.owed', data: { effect } }], reply: () => ({ effect }) };
    },
    settle(state, { effect }) {
      const events = state.effects.has(effect) ? [{ type: 'debt.settled', data: { effect } } as const] : [];
      return { events, reply: () => ({}) };
    },
  },
  queries: { total: (state, _input, view) => ({ total: total(state), revision: view.revision }) },
  events: {
    'line.appended': {
      apply(state, { tag, n }, at) {
        state.lines.set(tag, { n, since: at.time });
        state.totals.set('lines', { value: n });
      },
      key: () => '',
    },
    'line.expired': {
      apply(state, { tag }) {
        state.lines.delete(tag);
      },
      key: () => '',
    },
    'debt.owed': {
      apply(state, { effect }) {
        state.effects.set(effect, { id: effect, kind: 'pay', notBefore: 0 });
      },
      key: () => '',
    },
    'debt.settled': {
      apply(state, { effect }) {
        state.effects.delete(effect);
      },
      key: () => '',
    },
  },
  effects: (state) => state.effects,
  nextDue(state, epochStart) {
    const oldest = state.lines.values().next().value;
    return oldest && Math.max(oldest.since, epochStart) + LINE_TTL_MS;
  },
  tick(state, ctx) {
    const events = [];
    for (const [tag, { since }] of state.lines.entries()) {
      if (Math.max(since, ctx.epochStart) + LINE_TTL_MS > ctx.now) break;
      events.push({ type: 'line.expired', data: { tag } } as const);
    }
    return events;
  },
};

/** One that has room for any number of lines. */
export const roomyLedger: Machine<LedgerShape> = {
  ...ledger,
  commands: { ...ledger.commands, append: append(Number.POSITIVE_INFINITY) },
};
