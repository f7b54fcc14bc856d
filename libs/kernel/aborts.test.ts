import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { offAbort, onAbort } from './aborts.ts';

test('many wait for one signal: all are told, once each, by one listener', () => {
  const abort = new AbortController();
  const told: number[] = [];
  const runs = Array.from({ length: 50 }, (_, i) => () => void told.push(i));
  for (const run of runs) onAbort(abort.signal, run);
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
  for (const run of runs.slice(2)) offAbort(abort.signal, run);
  abort.abort();
  abort.abort();
  expect(told).toEqual([0, 1]);
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
});

test('nothing is left on a signal that nobody waits for; later ones are told again', () => {
  const abort = new AbortController();
  let told = 0;
  const run = () => void told++;
  onAbort(abort.signal, run);
  offAbort(abort.signal, run);
  offAbort(abort.signal, run);
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  onAbort(abort.signal, run);
  abort.abort();
  expect(told).toBe(1);
});

test('who is told may take others back, and himself; of a signal that has aborted nobody is told', () => {
  const abort = new AbortController();
  const told: string[] = [];
  const second = () => void told.push('second');
  const first = () => {
    told.push('first');
    offAbort(abort.signal, first);
    offAbort(abort.signal, second);
  };
  onAbort(abort.signal, first);
  onAbort(abort.signal, second);
  abort.abort();
  onAbort(abort.signal, second);
  expect(told).toEqual(['first']);
});
