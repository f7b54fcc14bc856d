import { expect, test } from 'vitest';
import { ANONYMOUS } from '../../../libs/protocol/principal.ts';
import { OPERATOR, queen, refusal, SERVICE, testRegistry } from './fixtures.ts';

const settings = (name: string) =>
  ({ name, description: 'd', joinPolicy: 'JOIN_POLICY_UNSPECIFIED', removeAfterMs: 0 }) as const;

test('an operator creates a federation; repeating it changes nothing, other settings are refused', () => {
  const registry = testRegistry();
  const first = registry.execute('initFederation', settings('lab'), { principal: OPERATOR });
  expect(first).toMatchObject({ created: true, federation: { name: 'lab', joinPolicy: 'JOIN_POLICY_OPEN' } });
  expect(registry.execute('initFederation', settings('lab'))).toMatchObject({ created: false });
  const other = () => registry.execute('initFederation', { ...settings('lab'), removeAfterMs: 5000 });
  expect(refusal(other)).toMatchObject({ code: 'ALREADY_EXISTS' });
  expect(registry.events.map(({ event, key }) => [event.type, key])).toEqual([['federation.created', 'lab']]);
});

test('settings are replaced at an expected revision', () => {
  const registry = testRegistry();
  registry.execute('initFederation', settings('lab'));
  const update = (expectedRevision: string, removeAfterMs: number) =>
    registry.execute('updateFederation', { ...settings('lab'), removeAfterMs, expectedRevision });
  expect(update('1', 5000).federation).toMatchObject({ removeAfterMs: 5000, revision: '2' });
  expect(refusal(() => update('1', 6000))).toMatchObject({ code: 'ABORTED' });
  expect(update('0', 5000).federation?.revision).toBe('2');
  const unknown = () => registry.execute('updateFederation', { ...settings('x'), expectedRevision: '0' });
  expect(refusal(unknown)).toMatchObject({ code: 'NOT_FOUND' });
});

test('only operators, and only in main', () => {
  const registry = testRegistry();
  const as = (principal: Parameters<typeof queen>[0] | typeof ANONYMOUS) => () =>
    registry.execute('initFederation', settings('lab'), {
      principal: typeof principal === 'string' ? queen(principal) : principal,
    });
  expect(refusal(as('code'))).toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(refusal(as(ANONYMOUS))).toMatchObject({ code: 'UNAUTHENTICATED' });
  const elsewhere = testRegistry('lab');
  const run = () => elsewhere.execute('initFederation', settings('x'), { principal: OPERATOR });
  expect(refusal(run)).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NOT_MAIN' });
});

test('a federation takes over the settings that main has for it, and nobody else hands them over', () => {
  const lab = testRegistry('lab');
  const adopt = (removeAfterMs: number) =>
    lab.execute('adoptFederation', { ...settings('lab'), removeAfterMs }, { principal: SERVICE });
  expect(adopt(0)).toEqual({ changed: true });
  expect(adopt(0)).toEqual({ changed: false });
  expect(adopt(9000)).toEqual({ changed: true });
  expect(lab.events.map(({ event }) => event.type)).toEqual(['federation.created', 'federation.updated']);
  const outside = () => lab.execute('adoptFederation', settings('lab'), { principal: OPERATOR });
  expect(refusal(outside)).toMatchObject({ code: 'PERMISSION_DENIED' });
});
