import { expect, test } from 'vitest';
import { HiveError, invalid, notFound } from '../libs/kernel/errors.ts';
import { forPeople } from './error-text.ts';

const faults = (...fields: string[]) => invalid(fields.map((field) => ({ field, value: '5', rule: 'is wrong' })));

test('fields are called as on the command line', () => {
  expect(forPeople(faults('spec.timeoutMs', 'spec.labels.Bad', 'spec.capabilities[1]'), '')).toBe(
    '--timeout: 5ms is wrong; --label Bad: 5 is wrong; --capability: 5 is wrong',
  );
  expect(forPeople(faults('name', 'spec.other'), '')).toBe('name: 5 is wrong; spec.other: 5 is wrong');
});

test.each([
  [
    'rules.highPercent',
    '90',
    'must be at least lowPercent and reservePercent together',
    '--high: 90 must be at least --low and --reserve together',
  ],
  ['policy.keepPercent', '150', 'must be 0 to 100', '--keep: 150 must be 0 to 100'],
  ['waitMs', '18000000', 'must be 0 to 3600000', '--wait: 5h must be 0s to 1h'],
  [
    'rebalance.rules.highPercent',
    '9',
    'must be at least lowPercent',
    '--rebalance-high: 9 must be at least --rebalance-low',
  ],
  ['rebalance.everyMs', '1', 'must be at least 1000', '--rebalance: 1ms must be at least 1s'],
  ['capabilities[0].capacity', '-1', 'must be 0 or more', '--offer capacity: -1 must be 0 or more'],
  ['graceMs', '7200000', 'must be 0 to 3600000', '--grace: 2h must be 0s to 1h'],
  ['graceMs', '7200001', 'must be 0 to 3600000', '--grace: 7200001ms must be 0s to 1h'],
  ['spec.ties.after[0].task', '"no"', 'must be a task', '--after: "no" must be a task'],
  ['spec.limits.totalMs', '5000', 'is too short', '--max-total: 5s is too short'],
  ['limits.maxRunning', '9', 'must be at most 8', '--max-running: 9 must be at most 8'],
  [
    'limits.submitBurst',
    '9',
    'must be 0 without submitsPerSecond',
    '--submit-burst: 9 must be 0 without --submits-per-second',
  ],
  ['limits.swarm', '"A"', 'must match', '<swarm>: "A" must match'],
  ['weights.cost', '2000', 'must be 0 to 1000', '--weight cost: 2000 must be 0 to 1000'],
])('%s: %s %s', (field, value, rule, said) => {
  expect(forPeople(invalid([{ field, value, rule }]), '')).toBe(said);
});

test('a method that an error names is the command that calls it', () => {
  expect(forPeople(notFound('cluster', 'x', 'see ListClusters'), '')).toMatch(/; see hivebus get clusters$/);
  expect(forPeople(notFound('cluster', 'x', 'see ListOthers'), '')).toMatch(/; see ListOthers$/);
});

test('states are words', () => {
  const error = new HiveError('FAILED_PRECONDITION', 'lease is LEASE_STATE_EXPIRED, not TASK_STATE_TIMED_OUT');
  expect(forPeople(error, '')).toBe('lease is expired, not timed-out');
});

test.each(['TOKEN_KEY_UNKNOWN', 'NAME_TAKEN'])(
  '%s: who has another key is told where keys were looked for',
  (reason) => {
    const error = new HiveError('PERMISSION_DENIED', 'swarm docs belongs to another key', { reason });
    expect(forPeople(error, '/h')).toMatch(
      /^swarm docs belongs to another key; keys were looked for in \/h\/keys: .*HOME$/,
    );
  },
);

test('who has no key is told how to have one', () => {
  const error = new HiveError('UNAUTHENTICATED', 'send `authorization: Bearer <jwt>`', { reason: 'TOKEN_MISSING' });
  expect(forPeople(error, '/h')).toMatch(/no operator's key lies in \/h: .* HIVEBUS_HOME, .* --as swarm:NAME/);
});
