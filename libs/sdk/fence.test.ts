import { expect, test } from 'vitest';
import { AssignmentFence } from './fence.ts';

const assignment = (task: string, attempt: number, epoch: number, cancel = false) => ({
  task,
  attempt,
  epoch: String(epoch),
  cancel,
});

test('an attempt is started once, a repeat is known', () => {
  const fence = new AssignmentFence();
  expect(fence.judge(assignment('t', 1, 5))).toBe('start');
  expect(fence.judge(assignment('t', 1, 5))).toBe('start'); // not taken yet
  fence.take({ task: 't', attempt: 1 });
  expect(fence.judge(assignment('t', 1, 6))).toBe('known');
  expect(fence.judge(assignment('t', 1, 6, true))).toBe('cancel');
});

test('older epochs than the pool has answered in are stale, and so are older attempts, whatever they say', () => {
  const fence = new AssignmentFence();
  fence.take({ task: 't', attempt: 2 });
  expect(fence.judge(assignment('t', 1, 7))).toBe('stale');
  expect(fence.judge(assignment('t', 1, 7, true))).toBe('stale');
  fence.heard(7);
  fence.heard(5);
  expect(fence.judge(assignment('u', 1, 6))).toBe('stale');
  expect(fence.judge(assignment('t', 3, 7))).toBe('start');
});

test('an assignment that is forged moves nothing', () => {
  const fence = new AssignmentFence();
  expect(fence.judge(assignment('t', 9, 1_000_000))).toBe('start');
  fence.take({ task: 't', attempt: 9 });
  fence.refused('t', 9); // the pool did not know of it
  expect(fence.judge(assignment('t', 1, 5))).toBe('start');
  fence.take({ task: 't', attempt: 1 });
  fence.refused('t', 9);
  expect(fence.judge(assignment('t', 1, 5))).toBe('known');
});

const atOnce = (task: string, assignedMs: number) => ({
  ...assignment(task, 1, 5),
  atOnce: true,
  assignedMs: `${assignedMs}`,
});

/** So many attempts are remembered at most; one more, and the oldest 257 are forgotten. */
const REMEMBERED = 4096 + 256;

/** Takes so many of the pool's that all before are forgotten. */
function fill(fence: AssignmentFence, fromMs: number): void {
  for (let i = 0; i < REMEMBERED; i++) fence.take(atOnce(`f${fromMs + i}`, fromMs + i), true);
}

test('of what was assigned before something that is forgotten nobody knows whether it was taken', () => {
  const fence = new AssignmentFence();
  const taken = (i: number) => atOnce(`t${i}`, 1000 + i);
  for (let i = 0; i < REMEMBERED; i++) fence.take(taken(i), true);
  expect(fence.isFresh(taken(0))).toBe(true); // still known by its number
  fence.take(taken(REMEMBERED), true);
  expect(fence.judge(assignment('t1', 1, 5))).toBe('start');
  expect([256, 257].map((i) => fence.isFresh(taken(i)))).toEqual([false, true]);
  expect(fence.isFresh({ task: 'u', attempt: 1 })).toBe(false); // an older pool does not say when
});

test('when something was assigned nobody but the pool says', () => {
  const fence = new AssignmentFence();
  fence.take(atOnce('copied', 1e15)); // the pool confirms the attempt, and did not say this time
  fence.take(atOnce('asked for', 1e15));
  fence.refused('asked for', 1);
  fill(fence, 1000);
  expect(fence.isFresh(atOnce('next', 6000))).toBe(true);
});

test('what was taken by a message that may be anybody’s is told from new ones by what the pool has assigned since', () => {
  const fence = new AssignmentFence();
  fence.take(atOnce('copied', 1));
  fill(fence, 1000);
  expect(['copied', 'next'].map((task, i) => fence.isFresh(atOnce(task, 2000 + 4000 * i)))).toEqual([false, true]);
});

test('what can never begin at once makes nothing that may ask first', () => {
  const fence = new AssignmentFence();
  fence.take({ ...atOnce('claimed', 1000), atOnce: false });
  fill(fence, 1000);
  expect(fence.isFresh(atOnce('next', 1256))).toBe(true); // of those that were taken, 1255 was the last to be forgotten
});

test('a forged message of a task does not hide when the pool has assigned it', () => {
  const fence = new AssignmentFence();
  const genuine = atOnce('t', 9000);
  fence.take(genuine, true);
  fence.take({ ...genuine, attempt: 9, assignedMs: '1' });
  fence.refused('t', 9);
  fill(fence, 1000);
  expect(fence.isFresh(genuine)).toBe(false);
});

test('what the pool has refused is asked for when it comes again; what was taken before it is not run again', () => {
  const fence = new AssignmentFence();
  const first = { ...assignment('t', 1, 5), assignedMs: '1000' };
  fence.take(first);
  fence.take({ task: 't', attempt: 9, assignedMs: '9000' });
  fence.refused('t', 9);
  expect([fence.judge(first), fence.isFresh(first)]).toEqual(['known', false]);
  fence.refused('t', 1);
  expect([fence.judge(first), fence.isFresh(first)]).toEqual(['start', false]);
  expect(fence.isFresh({ task: 't', attempt: 2, assignedMs: '1000' })).toBe(true);
});

test('a forged later attempt makes no room for one that has ended here, and none for those between', () => {
  const fence = new AssignmentFence();
  const genuine = { ...atOnce('t', 1000), attempt: 2 };
  fence.take(genuine, true);
  for (const attempt of [3, 9, 4]) {
    fence.take({ task: 't', attempt });
    fence.refused('t', attempt);
    expect(fence.judge(genuine, true)).toBe('known');
    expect(fence.hasTaken(genuine)).toBe(true);
    expect(fence.judge(assignment('t', 1, 5))).toBe('stale');
    expect(fence.judge(assignment('t', 3, 5))).toBe('start');
  }
  expect(fence.judge({ ...atOnce('t', 5000), attempt: 1 }, true)).toBe('start'); // another task of that id
});

test('another task may have the id of one that the pool has forgotten: it was assigned later, as the pool itself says', () => {
  const fence = new AssignmentFence();
  const of = (attempt: number, assignedMs: string) => ({ ...assignment('t', attempt, 5), assignedMs });
  fence.take(of(2, '2000'), true);
  expect(fence.judge(of(2, '2000'), true)).toBe('known');
  expect([fence.judge(of(1, '9000')), fence.judge(of(2, '9000'))]).toEqual(['stale', 'known']); // anybody's
  expect([fence.judge(of(1, '9000'), true), fence.judge(of(1, '1000'), true)]).toEqual(['start', 'stale']);
  fence.take(of(3, '0')); // anybody's, too
  expect(fence.judge(of(3, '3000'), true)).toBe('known');
});
