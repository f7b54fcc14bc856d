import { expect, test } from 'vitest';
import { DueQueue } from './due-queue.ts';

test('keys come by when they are due, and stay until they are deleted or set again', () => {
  const queue = new DueQueue();
  queue.set('late', 30);
  queue.set('early', 10);
  queue.set('moved', 5);
  queue.set('moved', 20);
  expect(queue.peek()).toBe(10);
  expect(queue.allDue(20, 10)).toEqual(['early', 'moved']);
  queue.delete('early');
  expect(queue.due(15)).toBeUndefined();
  expect(queue.due(20)).toBe('moved');
});

test('a key that was deleted and set to the same time again is due once', () => {
  const queue = new DueQueue();
  queue.set('a', 10);
  queue.delete('a');
  queue.set('a', 10);
  expect(queue.allDue(10, 10)).toEqual(['a']);
  queue.delete('a');
  expect(queue.peek()).toBeUndefined();
});
