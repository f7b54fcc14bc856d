import { expect, test } from 'vitest';
import type { Principal } from '../../../libs/protocol/principal.ts';
import { knownSwarms, Pool, queen, shell, spec, wanted } from './fixtures.ts';
import { strays } from './retire.ts';
import type { PoolSoft } from './state.ts';

/** The swarms as they are known after `a` has been registered anew, by another key. */
const anew: PoolSoft = {
  swarms: {
    synced: true,
    keyOf: (swarm) => (swarm === 'a' ? 'key-other' : knownSwarms('b', 'c').swarms.keyOf(swarm)),
    registrationOf: (swarm) => (swarm === 'a' ? 'a-2' : knownSwarms('b', 'c').swarms.registrationOf(swarm)),
    names: () => ['a', 'b', 'c'],
  },
};

const retire = (pool: Pool, registrations: string[]) => {
  for (let steps = 1; ; steps++) {
    const { left } = pool.run.execute('retireSwarm', { swarm: 'a', registrations }, { principal: shell });
    if (!left) return steps;
  }
};

test('what waits is cancelled, what runs is asked to end, borrowed agents go home, its own leave', () => {
  const pool = new Pool();
  pool.register('own');
  pool.register('guest', { swarm: 'b', type: 'test' });
  pool.submit('runs');
  pool.confirm('runs');
  pool.submit('waits');
  pool.submit('waits-elsewhere', { swarm: 'b' });
  pool.run.execute('requestAgent', wanted({ type: 'test' }), { principal: queen('a') });
  expect(strays(pool.run.state, knownSwarms('a', 'b').swarms.registrationOf)).toEqual([]);
  expect(strays(pool.run.state, anew.swarms.registrationOf)).toEqual([{ swarm: 'a', registrations: ['a-1'] }]);
  expect(retire(pool, ['a-1'])).toBe(4);
  expect(pool.task('waits')).toMatchObject({ state: 'TASK_STATE_CANCELLED', reason: 'swarm a was deregistered' });
  expect(pool.task('runs')).toMatchObject({ state: 'TASK_STATE_CANCELLED', reason: 'swarm a was deregistered' });
  expect(pool.where('waits-elsewhere')).toBe('QUEUED');
  expect([...pool.run.state.agents.keys()]).toEqual(['b/guest']);
  expect(pool.run.state.agents.get('b/guest')).toMatchObject({ serving: 'b', lease: '' });
  expect(pool.run.rows(pool.run.replay())).toEqual(pool.run.rows());
  expect(strays(pool.run.state, anew.swarms.registrationOf)).toEqual([]);
});

test('who registers the name next keeps what is his own, and has no part in what was before', () => {
  const pool = new Pool();
  pool.submit('old');
  pool.run.execute('submitTask', { id: 'new', spec: spec() }, { principal: queen2, soft: anew });
  expect(strays(pool.run.state, anew.swarms.registrationOf)).toEqual([{ swarm: 'a', registrations: ['a-1'] }]);
  retire(pool, ['a-1']);
  expect([pool.where('old'), pool.where('new')]).toEqual(['CANCELLED', 'QUEUED']);
});

test('who registers the name next may not end what was before; its own tasks, and an operator, may', () => {
  const pool = new Pool();
  pool.submit('old');
  pool.run.execute('submitTask', { id: 'new', spec: spec() }, { principal: queen2, soft: anew });
  const cancel = (id: string, principal: Principal) =>
    pool.run.execute('cancelTask', { id, reason: '' }, { principal, soft: anew });
  expect(() => cancel('old', queen2)).toThrow(
    'may not cancel task "old": it belongs to an earlier registration of swarm "a"',
  );
  cancel('new', queen2);
  expect([pool.where('old'), pool.where('new')]).toEqual(['QUEUED', 'CANCELLED']);
  cancel('old', pool.operator);
  expect(pool.where('old')).toBe('CANCELLED');
});

test('rows that do not say their registration end only with a name that nobody has', () => {
  const pool = new Pool();
  const silent = { swarms: { ...knownSwarms('a').swarms, registrationOf: () => undefined } };
  pool.run.execute('submitTask', { id: 't', spec: spec() }, { soft: silent });
  expect(pool.run.state.tasks.get('t')).toMatchObject({ id: 't', registration: undefined });
  expect(strays(pool.run.state, knownSwarms('a').swarms.registrationOf)).toEqual([]);
  expect(strays(pool.run.state, () => undefined)).toEqual([{ swarm: 'a', registrations: [''] }]);
});

test('nobody but the pool itself retires a swarm', () => {
  const call = () =>
    new Pool().run.execute('retireSwarm', { swarm: 'a', registrations: ['a-1'] }, { principal: queen('a') });
  expect(call).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
});

const queen2 = { kind: 'swarm', swarm: 'a', key: 'key-other' } as const;
