import { describe, expect, test } from 'vitest';
import type { Lease } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, queen, START, wanted } from './fixtures.ts';

const borrow = (pool: Pool, change = {}): Lease =>
  pool.run.execute('requestAgent', wanted(change), { principal: queen('a') }).lease as Lease;

const leases = (pool: Pool): string[] =>
  pool.run
    .query('listLeases', { swarm: '', includeEnded: true, pageSize: 0, pageToken: '', minRevision: '0' })
    .leases.map((lease) => `${lease.agent} ${lease.state.slice('LEASE_STATE_'.length)}`);

test('the least busy agent of another swarm is lent, and takes what waits at once', () => {
  const pool = new Pool();
  pool.register('busy', { swarm: 'b', priority: 9 });
  pool.submit('theirs', { swarm: 'b' });
  pool.register('idle', { swarm: 'c' });
  pool.submit('t1');
  expect(borrow(pool)).toMatchObject({ agent: 'c/idle', lender: 'c', borrower: 'a', termMs: 60_000 });
  expect(pool.where('t1')).toBe('ASSIGNED on c/idle');
  expect(pool.task('t1').attempts[0]?.lease).not.toBe('');
});

test('a list says when a lease ends: after a takeover a full term after it', () => {
  const pool = new Pool();
  pool.register('x', { swarm: 'b' });
  borrow(pool);
  const ask = { swarm: '', includeEnded: false, pageSize: 0, pageToken: '', minRevision: '0' };
  const endsAt = (epochStart: number) => pool.run.query('listLeases', ask, { epochStart }).leases[0]?.expiresAt;
  expect(endsAt(START)).toBe(new Date(START + 60_000).toISOString());
  expect(endsAt(START + 5000)).toBe(new Date(START + 65_000).toISOString());
});

test('a refusal counts what stood in the way', () => {
  const pool = new Pool();
  for (const name of ['p', 'q', 'r', 's', 't'])
    pool.register(name, { swarm: 'b', capabilities: name === 't' ? [] : ['ts'] });
  pool.register('own', { capabilities: ['ts'] });
  pool.submit('theirs', { swarm: 'b', capabilities: ['ts'] });
  pool.observe('b/q', 'SUSPECT');
  pool.observe('b/r', 'UNREACHABLE');
  borrow(pool, { capabilities: ['ts'] });
  expect(() => borrow(pool, { capabilities: ['ts'] })).toThrow(
    /5 candidates in other swarms, of those 1 busy, 1 lent, 1 suspect, 1 unreachable, 1 lacking a capability or label/,
  );
  expect(() => borrow(pool, { type: 'nosuch' })).toThrow(/swarm "a": no other swarm has one$/);
  expect(() => borrow(pool, { lender: 'c' })).toThrow(
    expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', retryable: false }),
  );
});

describe('the end of a lease', () => {
  test('it expires a term after its last renewal', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b' });
    const { id } = borrow(pool, { termMs: 5000 });
    pool.pass(4000);
    pool.run.execute('renewLease', { lease: id }, { now: pool.now });
    pool.pass(4999);
    expect(leases(pool)).toEqual(['b/x ACTIVE']);
    pool.pass(1);
    expect(leases(pool)).toEqual(['b/x EXPIRED']);
    expect(() => pool.run.execute('renewLease', { lease: id })).toThrow(
      /ended at .* as LEASE_STATE_EXPIRED .* ran out/,
    );
  });

  test('what runs for the borrower is finished, nothing new comes, then the agent goes home', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b', slots: 2 });
    const { id } = borrow(pool);
    pool.submit('t1');
    pool.run.execute('releaseLease', { lease: id }, { principal: queen('b') });
    expect(leases(pool)).toEqual(['b/x DRAINING']);
    expect(() => pool.run.execute('renewLease', { lease: id }, { principal: queen('a') })).toThrow(
      /only finishes what runs/,
    );
    pool.submit('t2');
    pool.submit('theirs', { swarm: 'b' });
    expect([pool.where('t2'), pool.where('theirs')]).toEqual(['QUEUED', 'QUEUED']);
    pool.report('t1');
    expect(leases(pool)).toEqual(['b/x RELEASED']);
    expect([pool.where('t2'), pool.where('theirs')]).toEqual(['QUEUED', 'ASSIGNED on b/x']);
  });

  test('a lease and its last task that end in the same tick leave the agent at home', () => {
    const pool = new Pool({ timeoutGraceMs: 0 });
    pool.register('x', { swarm: 'b' });
    borrow(pool, { termMs: 5000 });
    pool.submit('t1', { timeoutMs: 5000, maxAttempts: 1 });
    pool.confirm('t1');
    pool.pass(5000);
    expect(leases(pool)).toEqual(['b/x EXPIRED']);
    expect(pool.where('t1')).toBe('FAILED');
  });

  test('it is revoked when the agent is lost, and outlives a restart', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b' });
    borrow(pool);
    pool.register('x', { swarm: 'b', instance: 'i2' });
    expect(leases(pool)).toEqual(['b/x ACTIVE']);
    pool.observe('b/x', 'UNREACHABLE', 'i2');
    expect(leases(pool)).toEqual(['b/x REVOKED']);
    pool.register('x', { swarm: 'b', instance: 'i3' });
    borrow(pool);
    pool.register('x', { swarm: 'b', instance: 'i3', type: 'test' });
    expect(leases(pool)).toEqual(['b/x REVOKED', 'b/x REVOKED']);
  });

  test('strangers may neither renew nor release', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b' });
    const { id } = borrow(pool);
    for (const command of ['renewLease', 'releaseLease'] as const) {
      expect(() => pool.run.execute(command, { lease: id }, { principal: queen('c') })).toThrow(
        expect.objectContaining({ code: 'PERMISSION_DENIED' }),
      );
    }
    expect(() => pool.run.execute('renewLease', { lease: id }, { principal: queen('b') })).toThrow(/only swarm "a"/);
    expect(() => pool.run.execute('renewLease', { lease: 'gone' })).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND' }),
    );
  });
});
