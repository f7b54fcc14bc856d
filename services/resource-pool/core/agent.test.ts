import { describe, expect, test } from 'vitest';
import { ANONYMOUS } from '../../../libs/protocol/principal.ts';
import type { ListAgentsRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agent, agentPrincipal, knownSwarms, Pool, queen, shell, spec } from './fixtures.ts';

const listAll: ListAgentsRequest = {
  swarm: '',
  type: '',
  states: [],
  pageSize: 0,
  pageToken: '',
  minRevision: '0',
};

test('registering again without news changes nothing', () => {
  const pool = new Pool();
  pool.register('x', { capabilities: ['ts'] });
  pool.register('x', { capabilities: ['ts'] });
  expect(pool.types()).toEqual(['agent.registered']);
});

test('fewer slots than running tasks are refused', () => {
  const pool = new Pool();
  pool.register('x', { slots: 2 });
  pool.submit('t1');
  pool.submit('t2');
  expect(() => pool.register('x', { slots: 1 })).toThrow(/runs 2 tasks; with 1 slot it must finish some first/);
});

describe('liveness', () => {
  test('a suspect agent gets nothing new and keeps what it has; ready again, it takes what waits', () => {
    const pool = new Pool();
    pool.register('x', { slots: 2 });
    pool.submit('t1');
    pool.observe('a/x', 'SUSPECT');
    pool.submit('t2');
    expect([pool.where('t1'), pool.where('t2')]).toEqual(['ASSIGNED on a/x', 'QUEUED']);
    pool.observe('a/x', 'READY');
    expect(pool.where('t2')).toBe('ASSIGNED on a/x');
  });

  test('what was seen of another instance is no news', () => {
    const pool = new Pool();
    pool.register('x', { instance: 'i2' });
    pool.observe('a/x', 'UNREACHABLE', 'i1');
    expect(pool.types()).toEqual(['agent.registered']);
  });

  test('nothing is owed to an agent that is gone', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { maxAttempts: 5 });
    pool.observe('a/x', 'UNREACHABLE');
    expect(pool.run.state.deliveries.size).toBe(0);
    expect(pool.where('t1')).toBe('QUEUED');
  });

  test('an agent that stays unreachable is removed after the stated time', () => {
    const pool = new Pool({ removeUnreachableMs: 60_000 });
    pool.register('x');
    pool.register('y');
    pool.observe('a/x', 'UNREACHABLE');
    pool.observe('a/y', 'UNREACHABLE');
    pool.observe('a/y', 'READY');
    pool.pass(60_000);
    expect(pool.run.query('listAgents', listAll).agents.map(({ name }) => name)).toEqual(['y']);
  });

  test('a removed agent loses its work and may not report it', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    const leave = { swarm: 'a', name: 'x', instance: '' };
    expect(() => pool.run.execute('deregisterAgent', { ...leave, instance: 'old' })).toThrow(/instance "old"/);
    pool.run.execute('deregisterAgent', leave);
    expect(pool.where('t1')).toBe('QUEUED');
    expect(() => pool.report('t1')).toThrow(expect.objectContaining({ code: 'ABORTED' }));
  });
});

describe('who may', () => {
  const refused = (code: string) => expect.objectContaining({ code });

  test('an agent acts for itself only, its swarm for all its agents', () => {
    const pool = new Pool();
    pool.run.execute('registerAgent', agent('x'), { principal: agentPrincipal('a', 'x') });
    pool.run.execute('registerAgent', agent('y'), { principal: queen('a') });
    expect(() => pool.run.execute('registerAgent', agent('z'), { principal: agentPrincipal('a', 'x') })).toThrow(
      refused('PERMISSION_DENIED'),
    );
    pool.submit('t1');
    expect(() => pool.confirm('t1', agentPrincipal('a', 'y'))).toThrow(/agent:a\/y may not confirm a task/);
    expect(() => pool.confirm('t1', queen('b'))).toThrow(refused('PERMISSION_DENIED'));
    pool.confirm('t1', queen('a'));
  });

  test('a name without its key is nobody', () => {
    const pool = new Pool();
    const forged = { ...queen('a'), key: 'another' } as const;
    const calls = [
      () => pool.run.execute('registerAgent', agent('x'), { principal: forged }),
      () => pool.run.execute('submitTask', { id: '', spec: spec() }, { principal: forged }),
      () => pool.run.execute('submitTask', { id: '', spec: spec() }, { principal: queen('b') }),
      () => pool.run.execute('submitTask', { id: '', spec: spec() }, { principal: agentPrincipal('b', 'x') }),
      () => pool.observeAs('a/x', queen('a')),
    ];
    for (const call of calls) expect(call).toThrow(refused('PERMISSION_DENIED'));
    expect(() => pool.run.execute('submitTask', { id: '', spec: spec() }, { principal: ANONYMOUS })).toThrow(
      refused('UNAUTHENTICATED'),
    );
    pool.run.execute('submitTask', { id: '', spec: spec() }, { principal: agentPrincipal('a', 'x') });
  });

  test('a swarm that is not registered is not known; before the registry was heard, nobody can tell', () => {
    const pool = new Pool();
    const call = () => pool.run.execute('submitTask', { id: '', spec: spec({ swarm: 'zzz' }) });
    expect(call).toThrow(/swarm "zzz" is not known; register it first: hivebus register-swarm zzz/);
    const soft = { swarms: { ...knownSwarms('a').swarms, synced: false } };
    const early = () => pool.run.execute('submitTask', { id: '', spec: spec({ swarm: 'b' }) }, { soft });
    expect(early).toThrow(expect.objectContaining({ code: 'UNAVAILABLE', retryable: true }));
    pool.run.execute('submitTask', { id: '', spec: spec({ swarm: 'a' }) }, { soft });
  });

  test('only the shell judges', () => {
    const pool = new Pool();
    pool.register('x');
    pool.observeAs('a/x', shell);
    expect(pool.types()).toEqual(['agent.registered', 'agent.state']);
  });
});

describe('lists', () => {
  test('come in pages that neither repeat nor skip', () => {
    const pool = new Pool();
    for (const name of ['e', 'b', 'd', 'a', 'c']) pool.register(name);
    const first = pool.run.query('listAgents', { ...listAll, pageSize: 2 });
    pool.register('aa');
    pool.run.execute('deregisterAgent', { swarm: 'a', name: 'b', instance: '' });
    const second = pool.run.query('listAgents', { ...listAll, pageSize: 2, pageToken: first.nextPageToken });
    const third = pool.run.query('listAgents', { ...listAll, pageSize: 2, pageToken: second.nextPageToken });
    const names = [first, second, third].map(({ agents }) => agents.map(({ name }) => name).join(''));
    expect(names).toEqual(['ab', 'cd', 'e']);
    expect([first.total, third.nextPageToken]).toEqual([5, '']);
  });
});
