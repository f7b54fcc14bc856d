import type { NatsConnection } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { Link } from './link.ts';

/** A connection whose breaks and ends the test says. */
function connection() {
  const { readable, writable } = new TransformStream<{ type: string }>();
  const writer = writable.getWriter();
  const nc = { status: () => readable } as unknown as NatsConnection;
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return {
    link: Link.of(nc),
    tell: async (type: 'disconnect' | 'reconnect') => {
      await writer.write({ type });
      await settled();
    },
    close: async () => {
      await writer.close();
      await settled();
    },
  };
}

const never = () => new Promise<never>(() => {});
const BROKE = 'the connection broke before it was answered';

test('a break is told each time, its end once to whoever waits', async () => {
  const { link, tell } = connection();
  const told: string[] = [];
  const lost = link.whenLost(() => told.push('lost'));
  link.whenStanding(() => told.push('stands'));
  await tell('disconnect');
  expect([link.stands, link.standsForMs()]).toEqual([false, 0]);
  link.whenStanding(() => told.push('back'));
  link.whenStanding(() => told.push('not wanted'))[Symbol.dispose]();
  await tell('reconnect');
  await tell('disconnect');
  lost[Symbol.dispose]();
  await tell('reconnect');
  await tell('disconnect');
  expect(told).toEqual(['stands', 'lost', 'back', 'lost']);
});

test('what was asked before a break fails when the connection is back, what is asked meanwhile is asked then', async () => {
  const { link, tell } = connection();
  let failed = '';
  const before = link.answer(never).catch((error: Error) => {
    failed = error.message;
  });
  await tell('disconnect');
  let asked = 0;
  const meanwhile = link.answer(async () => ++asked);
  expect([failed, asked]).toEqual(['', 0]);
  await tell('reconnect');
  await before;
  expect([failed, await meanwhile]).toEqual([BROKE, 1]);
  expect(await link.answer(async () => 'now')).toBe('now');
});

test('a connection that is closed for good leaves nobody waiting', async () => {
  const { link, tell, close } = connection();
  const before = link.answer(never).catch((error: Error) => error.message);
  await tell('disconnect');
  const meanwhile = link.answer(async () => Promise.reject(new Error('closed'))).catch((error: Error) => error.message);
  await close();
  expect(await Promise.all([before, meanwhile])).toEqual([BROKE, 'closed']);
});
