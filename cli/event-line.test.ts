import { expect, test } from 'vitest';
import { type BusEvent, eventLine, isShown } from './event-line.ts';

const event = (subject: string, data: unknown): BusEvent => ({
  subject,
  time: '2026-01-01T12:00:01.234Z',
  headers: {},
  data,
});

const started = event('hive.main.pool.task.started.code.t-1', { task: 't-1', attempt: 2, agent: 'code/a', empty: '' });

test('an event is one line with what is not empty', () => {
  expect(eventLine(started)).toBe('12:00:01.234 pool.task.started.code.t-1  task=t-1 attempt=2 agent=code/a');
  const nested = event('hive.main.registry.federation.created.main', { federation: { name: 'main', tags: [] } });
  expect(eventLine(nested)).toContain('created.main  name=main');
  expect(eventLine(event('hive.main.x.y', 'no JSON'))).toContain('no JSON');
});

test('it is cut at the width of a terminal', () => {
  const whole = eventLine(started);
  expect(eventLine(started, whole.length)).toBe(whole);
  expect(eventLine(started, 50)).toBe(`${whole.slice(0, 49)}…`);
  expect(eventLine(started, 10)).toBe('12:00:01.…');
});

test('states are words, and what only machines read is left out', () => {
  const data = {
    ...{ task: 't-1', state: 'TASK_STATE_TIMED_OUT', ownerKey: 'k', traceparent: '00-1-2-01' },
    outcome: 'OUTCOME_UNSPECIFIED',
  };
  expect(eventLine(event('hive.main.pool.task.ended.code.t-1', data))).toBe(
    '12:00:01.234 pool.task.ended.code.t-1  task=t-1 state=timed-out',
  );
});

test('traffic is not shown unless asked for', () => {
  const beat = event('hive.main.heartbeat.code', { swarm: 'code' });
  expect([started, beat].map((each) => isShown(each, {}))).toEqual([true, false]);
  expect(isShown(beat, { all: true })).toBe(true);
});

test('filters look at the subject and at the values', () => {
  expect(isShown(started, { service: 'registry' })).toBe(false);
  expect(isShown(started, { swarm: 'code', task: 't-1' })).toBe(true);
  expect(isShown(started, { swarm: 'quality' })).toBe(false);
  expect(isShown(event('hive.main.pool.lease.ended.b.l', { lender: 'code' }), { swarm: 'code' })).toBe(true);
});
