import { expect, test } from 'vitest';
import { ANSWERS_PER_CLIENT, MAX_CLIENTS, MAX_CLIENTS_OF_ONE, Sessions } from './sessions.ts';

test('the last answers of a client are known, older ones are refused as forgotten', () => {
  const sessions = new Sessions();
  for (let counter = 1; counter <= ANSWERS_PER_CLIENT + 5; counter++)
    sessions.remember('p', 'c', counter, { n: 'put', y: counter });
  expect(sessions.lookup('p', { client: 'c', counter: 6 }, 'put')).toEqual({ n: 'put', y: 6 });
  expect(sessions.lookup('p', { client: 'c', counter: ANSWERS_PER_CLIENT + 6 }, 'put')).toBeUndefined();
  expect(() => sessions.lookup('p', { client: 'c', counter: 5 }, 'put')).toThrow(/too old/);
  expect(sessions.lookup('p', { client: 'other', counter: 1 }, 'put')).toBeUndefined();
  expect(sessions.lookup('q', { client: 'c', counter: 6 }, 'put')).toBeUndefined();
});

test('a counter that was skipped and comes late is new while nothing was dropped', () => {
  const sessions = new Sessions();
  sessions.remember('p', 'c', 5, { y: 1 });
  expect(sessions.lookup('p', { client: 'c', counter: 3 }, 'put')).toBeUndefined();
});

test('the client that was silent longest is forgotten first', () => {
  const sessions = new Sessions();
  for (let i = 0; i < MAX_CLIENTS; i++) sessions.remember(`p${i % 64}`, `c${i}`, 1, { y: i });
  sessions.remember('p0', 'c0', 2, { y: 0 });
  sessions.remember('p', 'new', 1, { y: 0 });
  expect(sessions.table.size).toBe(MAX_CLIENTS);
  expect(sessions.table.has('p0 c0')).toBe(true);
  expect(sessions.table.has('p1 c1')).toBe(false);
});

test('one principal with many clients makes only its own be forgotten', () => {
  const sessions = new Sessions();
  sessions.remember('victim', 'v', 1, { n: 'put', y: 1 });
  for (let i = 0; i < 5000; i++) sessions.remember('greedy', `c${i}`, 1, { n: 'put', y: i });
  expect(sessions.lookup('victim', { client: 'v', counter: 1 }, 'put')).toEqual({ n: 'put', y: 1 });
  expect(sessions.table.size).toBe(MAX_CLIENTS_OF_ONE + 1);
});

test('a number that was used for another command is refused', () => {
  const sessions = new Sessions();
  sessions.remember('p', 'c', 1, { n: 'put', y: 1 });
  expect(() => sessions.lookup('p', { client: 'c', counter: 1 }, 'delete')).toThrow(/was for put, not for delete/);
});
