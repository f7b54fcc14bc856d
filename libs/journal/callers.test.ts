import { expect, test } from 'vitest';
import type { Principal } from '../protocol/principal.ts';
import { Callers } from './callers.ts';

const operator = (name: string): Principal => ({ kind: 'operator', name, key: 'k' });

test('each caller has his own name and key, in whatever order they come', () => {
  const [ada, bob] = [operator('ada'), operator('bob')];
  const callers = new Callers();
  const asked: [Principal, string][] = [
    [ada, 'c'],
    [ada, 'c'],
    [bob, 'c'],
    [bob, 'd'],
    [ada, 'd'],
    [ada, ''],
  ];
  const keys = asked.map(([principal, client]) => callers.sessionOf(principal, client));
  expect(keys).toEqual([
    'operator:ada c',
    'operator:ada c',
    'operator:bob c',
    'operator:bob d',
    'operator:ada d',
    'operator:ada ',
  ]);
  expect([callers.nameOf(bob), callers.nameOf(ada)]).toEqual(['operator:bob', 'operator:ada']);
});
