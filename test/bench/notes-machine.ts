import { Table } from '../../libs/kernel/table.ts';
import type { Machine, Shape } from '../../libs/protocol/machine.ts';

/** The smallest machine that does something: events of about 226 bytes, the state bounded by reusing keys. */
export interface NotesShape extends Shape {
  state: { notes: Table<Note> };
  commands: { put: { input: { key: string }; reply: { revision: number } } };
  queries: Record<string, never>;
  events: { 'note.put': Note };
  soft: undefined;
}

interface Note {
  readonly key: string;
  readonly swarm: string;
  readonly kind: string;
  readonly text: string;
}

const TEXT = 'x'.repeat(140);

export const notes: Machine<NotesShape> = {
  service: 'bench',
  init: () => ({ notes: new Table() }),
  tables: (state) => ({ notes: state.notes as Table<unknown> }),
  restored: () => {},
  commands: {
    put: (_state, { key }, ctx) => ({
      events: [{ type: 'note.put', data: { key, swarm: 'code', kind: 'analyser', text: TEXT } }],
      reply: () => ({ revision: ctx.revision }),
    }),
  },
  queries: {},
  events: {
    'note.put': {
      apply: (state, note) => state.notes.set(note.key, note),
      key: ({ key }) => key,
    },
  },
  nextDue: () => undefined,
  tick: () => [],
};
