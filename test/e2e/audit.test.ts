import { expect, test } from 'vitest';
import type { PoolEvent } from '../../services/resource-pool/core/state.ts';
import { Audit } from './audit.ts';

/** The audit of journals finds what it is there for: a journal that breaks each promise, and one that keeps them. */

const event = (type: PoolEvent['type'], data: object): PoolEvent => ({ type, data }) as unknown as PoolEvent;
const registered = event('agent.registered', { agent: { swarm: 'a', name: 'x', slots: 1 } });
const submitted = (task: string, claim = false) => event('task.submitted', { task, spec: { continuity: { claim } } });
const given = (task: string, attempt = 1) => event('task.assigned', { task, attempt, agent: 'a/x' });
const started = (task: string, attempt = 1) => event('task.started', { task, attempt });
const lost = (task: string, attempt: number, claimMs: number) =>
  event('task.attempt-ended', { task, attempt, claimMs, outcome: 'OUTCOME_LOST', reason: 'agent unreachable: why' });
const ended = (task: string, attempt = 1) => event('task.ended', { task, attempt, state: 'TASK_STATE_SUCCEEDED' });

/** What is found in a journal of one event for each record, at so many milliseconds. */
function faultsOf(...records: readonly (readonly [time: number, event: PoolEvent])[]): readonly string[] {
  const audit = new Audit();
  for (const [i, [time, each]] of records.entries()) audit.take({ revision: i + 1, time, events: [each] });
  return audit.faults;
}
const inOrder = (...events: readonly PoolEvent[]) => faultsOf(...events.map((each, i) => [i, each] as const));

test('a journal that keeps the promises', () => {
  const claimed = [registered, submitted('t', true), given('t'), started('t'), lost('t', 1, 100)];
  const again = [given('t', 2), started('t', 2), ended('t', 2)];
  const at = (time: number) => (each: PoolEvent) => [time, each] as const;
  expect(faultsOf(...claimed.map(at(0)), ...again.map(at(100)))).toEqual([]);
  expect(faultsOf(...claimed.map(at(0)), ...again.map(at(99)))).toEqual([
    'record 7: t starts 1 ms before the last claim is over',
  ]);
});

test('journals that break one', () => {
  const one = [registered, submitted('t'), given('t'), started('t')];
  const two = [registered, submitted('t'), submitted('u'), given('t')];
  expect(inOrder(...one, ended('t'), ended('t'))).toContain('record 6: task.ended of t, which has ended');
  expect(inOrder(...one, lost('t', 2, 0))).toEqual(['record 5: task.attempt-ended of attempt 2 at t, whose last is 1']);
  expect(inOrder(...one, given('t', 2))).toContain('record 5: t is with a/x, and given to a/x');
  expect(inOrder(...one, submitted('t'))).toEqual(['record 5: t is submitted again']);
  expect(inOrder(...two, given('u'))).toEqual(['record 5: a/x has 2 tasks and 1 slots']);
  expect(inOrder(registered, ended('t', 0))).toEqual(['record 2: task.ended of t, which nobody submitted']);
  expect(inOrder(registered, submitted('t', true), given('t'), started('t'), lost('t', 1, 0))).toEqual([
    'record 5: t does not wait for the claim of a/x',
  ]);
});
