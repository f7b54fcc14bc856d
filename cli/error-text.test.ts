import { expect, test } from 'vitest';
import { HiveError, invalid } from '../libs/kernel/errors.ts';
import { forPeople } from './error-text.ts';

const faults = (...fields: string[]) => invalid(fields.map((field) => ({ field, value: '5', rule: 'is wrong' })));

test('fields are called as on the command line', () => {
  expect(forPeople(faults('spec.timeoutMs', 'spec.labels.Bad', 'spec.capabilities[1]'), '')).toBe(
    '--timeout: 5 is wrong; --label Bad: 5 is wrong; --capability: 5 is wrong',
  );
  expect(forPeople(faults('name', 'spec.other'), '')).toBe('name: 5 is wrong; spec.other: 5 is wrong');
});

test('states are words', () => {
  const error = new HiveError('FAILED_PRECONDITION', 'lease is LEASE_STATE_EXPIRED, not TASK_STATE_TIMED_OUT');
  expect(forPeople(error, '')).toBe('lease is expired, not timed-out');
});

test('who has no key is told how to have one', () => {
  const error = new HiveError('UNAUTHENTICATED', 'send `authorization: Bearer <jwt>`', { reason: 'TOKEN_MISSING' });
  expect(forPeople(error, '/h')).toMatch(/no operator's key lies in \/h: .* HIVEBUS_HOME, .* --as swarm:NAME/);
});
