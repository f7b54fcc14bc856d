import { expect, test } from 'vitest';
import { ANSWERS_PER_CLIENT, MAX_CLIENTS, MAX_CLIENTS_OF_ONE, Sessions } from './sessions.ts';

const PUT = { name: 'put', digest: 'd' };

test('the last answers of a client are known, older ones are refused as forgotten', () => {
  const sessions = new Sessions();
  for (let counter = 1; counter <= ANSWERS_PER_CLIENT + 5; counter++)
    sessions.remember('p c', counter, { n: 'put', y: counter });
  expect(sessions.lookup('p c', { client: 'c', counter: 6 }, PUT)).toEqual({ n: 'put', y: 6 });
  expect(sessions.lookup('p c', { client: 'c', counter: ANSWERS_PER_CLIENT + 6 }, PUT)).toBeUndefined();
  expect(() => sessions.lookup('p c', { client: 'c', counter: 5 }, PUT)).toThrow(/too old/);
  expect(sessions.lookup('p other', { client: 'other', counter: 1 }, PUT)).toBeUndefined();
  expect(sessions.lookup('q c', { client: 'c', counter: 6 }, PUT)).toBeUndefined();
});

test('a counter that was skipped and comes late is new while nothing was dropped', () => {
  const sessions = new Sessions();
  sessions.remember('p c', 5, { y: 1 });
  expect(sessions.lookup('p c', { client: 'c', counter: 3 }, PUT)).toBeUndefined();
});

test('the client that was silent longest is forgotten first', () => {
  const sessions = new Sessions();
  for (let i = 0; i < MAX_CLIENTS; i++) sessions.remember(`p${i % 64} c${i}`, 1, { y: i });
  sessions.remember('p0 c0', 2, { y: 0 });
  sessions.remember('p new', 1, { y: 0 });
  expect(sessions.table.size).toBe(MAX_CLIENTS);
  expect(sessions.table.has('p0 c0')).toBe(true);
  expect(sessions.table.has('p1 c1')).toBe(false);
});

test('one principal with many clients makes only its own be forgotten', () => {
  const sessions = new Sessions();
  sessions.remember('victim v', 1, { n: 'put', y: 1 });
  for (let i = 0; i < 5000; i++) sessions.remember(`greedy c${i}`, 1, { n: 'put', y: i });
  expect(sessions.lookup('victim v', { client: 'v', counter: 1 }, PUT)).toEqual({ n: 'put', y: 1 });
  expect(sessions.table.size).toBe(MAX_CLIENTS_OF_ONE + 1);
});

test('a number that was used for another command is refused', () => {
  const sessions = new Sessions();
  sessions.remember('p c', 1, { n: 'put', y: 1 });
  expect(() => sessions.lookup('p c', { client: 'c', counter: 1 }, { ...PUT, name: 'delete' })).toThrow(
    /used for something else, put;/,
  );
});

test('a number that was used for the same command with another content is refused, unless the record is too old to tell', () => {
  const sessions = new Sessions();
  const other = { name: 'put', digest: 'e' };
  const newer = { name: 'put', digest: 'of another length' };
  sessions.remember('p c', 1, { n: 'put', h: 'd', y: 1 });
  sessions.remember('p c', 2, { n: 'put', y: 2 });
  expect(sessions.lookup('p c', { client: 'c', counter: 1 }, PUT)?.y).toBe(1);
  expect(() => sessions.lookup('p c', { client: 'c', counter: 1 }, other)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'REQUEST_ID_REUSED' }),
  );
  expect(sessions.lookup('p c', { client: 'c', counter: 2 }, other)?.y).toBe(2);
  expect(sessions.lookup('p c', { client: 'c', counter: 1 }, newer)?.y).toBe(1);
});

test('clients are kept in the order in which they were heard of last, the same after a restore', () => {
  const sessions = new Sessions();
  for (const client of ['a', 'b', 'a', 'a', 'c', 'c', 'b', 'b'])
    sessions.remember(`p ${client}`, 1, { n: 'put', y: 1 });
  expect([...sessions.table.keys()]).toEqual(['p a', 'p c', 'p b']);
  const restored = new Sessions();
  for (const [key, row] of sessions.table.entries()) restored.table.set(key, row);
  restored.restored();
  for (const each of [sessions, restored]) {
    each.remember('p b', 2, { n: 'put', y: 2 });
    each.remember('p a', 2, { n: 'put', y: 2 });
    expect([...each.table.keys()]).toEqual(['p c', 'p b', 'p a']);
  }
});
