import { expect, test } from 'vitest';
import { Table } from '../kernel/table.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Entry } from './ports.ts';
import { encodeDecided, encodeEpoch, encodeGroup } from './record.ts';
import { admit, type EpochMark, Replica } from './replica.ts';

interface CounterShape extends Shape {
  state: { counts: Table<number> };
  commands: Record<string, never>;
  queries: Record<string, never>;
  events: { counted: { by: number } };
  soft: undefined;
}

const counter: Machine<CounterShape> = {
  service: 'counter',
  init: () => ({ counts: new Table() }),
  tables: (state) => ({ counts: state.counts as Table<unknown> }),
  restored: () => {},
  commands: {},
  queries: {},
  events: {
    counted: { apply: (state, { by }) => state.counts.set('n', (state.counts.get('n') ?? 0) + by), key: () => '' },
  },
  upcasts: { 'counted-once': () => ({ type: 'counted', data: { by: 1 } }) },
  nextDue: () => undefined,
  tick: () => [],
};

const epoch = (seq: number, number: number, writer: string): Entry => ({
  seq,
  envelope: { id: `${writer}.0`, kind: 'epoch', epoch: number, writer },
  body: Buffer.from(encodeEpoch(seq, 'one')),
});

const group = (seq: number, number: number, writer: string, ...events: string[]): Entry => ({
  seq,
  envelope: { id: `${writer}.${seq}`, kind: 'group', epoch: number, writer },
  body: Buffer.from(encodeGroup(seq, [encodeDecided('x', events.join(','), undefined, '', '')])),
});

const COUNTED = '{"type":"counted","data":{"by":2}}';

test('an entry counts by epoch and writer alone', () => {
  const current: EpochMark = { epoch: 2, writer: 'w', seq: 1, time: 0 };
  expect(admit(group(5, 2, 'w'), current)).toBe('group');
  expect(admit(group(5, 2, 'v'), current)).toBe('void');
  expect(admit(group(5, 1, 'w'), current)).toBe('void');
  expect(admit(epoch(5, 3, 'v'), current)).toBe('epoch');
  expect(admit(epoch(5, 4, 'v'), current)).toBe('void');
  expect(admit({ seq: 5, envelope: undefined, body: Buffer.from('x') }, current)).toBe('void');
});

test('void records change nothing but the sequence', () => {
  const replica = new Replica(counter);
  for (const entry of [epoch(1, 1, 'a'), group(2, 1, 'a', COUNTED), epoch(3, 2, 'b'), group(4, 1, 'a', COUNTED)])
    replica.take(entry);
  expect([replica.seq, replica.voided, replica.state.counts.get('n')]).toEqual([4, 1, 2]);
});

test('an old event is said in the words of today; an unknown one stops the machine and nothing of its record is applied', () => {
  const replica = new Replica(counter);
  replica.take(epoch(1, 1, 'a'));
  replica.take(group(2, 1, 'a', '{"type":"counted-once","data":{}}'));
  expect(replica.state.counts.get('n')).toBe(1);
  expect(() => replica.take(group(3, 1, 'a', COUNTED, '{"type":"vanished","data":{}}'))).toThrow(
    /record 3 .* vanished/,
  );
  expect(replica.state.counts.get('n')).toBe(1);
});

test('an epoch of another incarnation stops the machine: the stream is not its own', () => {
  const replica = new Replica(counter, 'two');
  expect(() => replica.take(epoch(1, 1, 'a'))).toThrow(
    expect.objectContaining({ code: 'DATA_LOSS', reason: 'INCARNATIONS_DIFFER' }),
  );
  expect(replica.seq).toBe(0);
  new Replica(counter, 'one').take(epoch(1, 1, 'a'));
});
