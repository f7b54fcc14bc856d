import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import { Table } from '../kernel/table.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import type { Outcome, Waiting } from './group.ts';
import { Leader, type LeaderDeps } from './leader.ts';
import type { Appended, Envelope } from './ports.ts';
import { Replica } from './replica.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

interface AlarmShape extends Shape {
  state: { alarms: Table<number> };
  commands: Record<string, never>;
  queries: { count: { input: object; reply: number } };
  events: { 'alarm.rung': { id: string } };
  soft: undefined;
}

const START = 1_700_000_000_000;
const DUE = START + 500;

const alarm: Machine<AlarmShape> = {
  service: 'alarm',
  init: () => ({ alarms: new Table() }),
  tables: (state) => ({ alarms: state.alarms as Table<unknown> }),
  restored: () => {},
  commands: {},
  queries: { count: (state) => state.alarms.size },
  events: { 'alarm.rung': { apply: (state, { id }, at) => state.alarms.set(id, at.time), key: ({ id }) => id } },
  nextDue: (state) => (state.alarms.size === 0 ? DUE : undefined),
  tick: (_, { now }) => (now >= DUE ? [{ type: 'alarm.rung', data: { id: 'a' } }] : []),
};

const read = (principal: Principal): Waiting => ({
  kind: 'query',
  name: 'count',
  input: {},
  call: { principal, trace: { traceparent: '', correlationId: '', hops: 0 }, signal: new AbortController().signal },
  settle: () => {},
});

/** A clock whose timers run when the test says so. */
function manualClock() {
  let elapsed = 0;
  const timers: { ms: number; run: () => void }[] = [];
  const clock: Clock = {
    now: () => START + Math.floor(elapsed),
    monotonic: () => elapsed,
    after(ms, run) {
      timers.push({ ms, run });
      return { [Symbol.dispose]: () => {} };
    },
    defer: (run) => run(),
  };
  const fire = async (at: number) => {
    elapsed = at;
    timers.at(-1)?.run();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, fire, waits: () => timers.map(({ ms }) => ms) };
}

const ENVELOPE: Envelope = { id: 'w.1', kind: 'group', epoch: 1, writer: 'w' };

function lead(replica: Replica<AlarmShape>, clock: Clock, append: () => Promise<Appended>): Leader<AlarmShape> {
  const deps: Partial<LeaderDeps<AlarmShape>> = {
    ...{ clock, settings: DEFAULT_SETTINGS, soft: undefined },
    log: { append } as never,
    announcer: { announce: () => {} },
    observer: { appending: () => undefined, count: () => {}, log: () => {} },
    envelope: () => ENVELOPE,
    committed: () => {},
    deposed: () => {},
  };
  return new Leader(replica, deps as LeaderDeps<AlarmShape>);
}

test('a timer that runs early waits for the rest, and what is due is done then', async () => {
  const { clock, fire, waits } = manualClock();
  const replica = new Replica(alarm);
  lead(replica, clock, async () => ({ outcome: 'committed' }));
  expect(waits()).toEqual([500]);
  await fire(497.2);
  expect(waits()).toEqual([500, 3]);
  await fire(500);
  expect([...replica.state.alarms.entries()]).toEqual([['a', DUE]]);
});

test('while a record is in flight its rows can be told from those that are committed', async () => {
  const { clock, fire } = manualClock();
  const replica = new Replica(alarm);
  let commit: (appended: Appended) => void = () => {};
  const acknowledged = new Promise<Appended>((resolve) => {
    commit = resolve;
  });
  const leader = lead(replica, clock, () => acknowledged);
  await fire(500);
  const { alarms } = replica.state;
  expect([alarms.get('a'), alarms.committed('a')]).toEqual([DUE, undefined]);
  commit({ outcome: 'committed' });
  await leader.drained();
  expect(alarms.committed('a')).toBe(DUE);
});

test('readers without a token get no records of their own but now and then, and go with those of others', async () => {
  const { clock, fire } = manualClock();
  let records = 0;
  const leader = lead(new Replica(alarm), clock, async () => {
    records++;
    return { outcome: 'committed' };
  });
  let answered = 0;
  const ask = async (principal: Principal) => {
    leader.submit({ ...read(principal), settle: () => void answered++ });
    await new Promise((resolve) => setImmediate(resolve));
    return [answered, records];
  };
  const operator: Principal = { kind: 'operator', name: 'ada', key: 'k' };
  expect(await ask(ANONYMOUS)).toEqual([1, 1]);
  expect(await ask(ANONYMOUS)).toEqual([1, 1]);
  expect(await ask(ANONYMOUS)).toEqual([1, 1]);
  expect(await ask(operator)).toEqual([4, 2]);
  expect(await ask(operator)).toEqual([5, 3]);
  expect(await ask(ANONYMOUS)).toEqual([5, 3]);
  await fire(20);
  expect([answered, records]).toEqual([6, 4]);
  const outcomes: Outcome[] = [];
  for (let i = 0; i < 1001; i++) leader.submit({ ...read(ANONYMOUS), settle: (outcome) => outcomes.push(outcome) });
  expect(outcomes).toEqual([{ error: expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }) }]);
});
