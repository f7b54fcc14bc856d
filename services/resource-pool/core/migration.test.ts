import { describe, expect, test } from 'vitest';
import type { Principal } from '../../../libs/protocol/principal.ts';
import type { MigrateAgentRequest, Migration } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agent, agentPrincipal, knownSwarms, Pool, queen } from './fixtures.ts';

const migrate = (pool: Pool, change: Partial<MigrateAgentRequest> = {}, principal: Principal = pool.operator) => {
  const input = { swarm: 'a', name: 'x', to: 'b', newName: '', graceMs: 0, reason: '', ...change };
  return pool.run.execute('migrateAgent', input, { principal, now: pool.now }).migration as Migration;
};
const cancel = (pool: Pool, id: string, principal: Principal = pool.operator) =>
  pool.run.execute('cancelMigration', { id, reason: 'no' }, { principal, now: pool.now }).migration;
const stateOf = (pool: Pool, id: string) =>
  pool.run.state.migrations.get(id)?.state.slice('MIGRATION_STATE_'.length) ?? 'none';
const arrive = (pool: Pool, migration: string, change: Parameters<typeof agent>[1] = {}, principal = pool.operator) =>
  pool.run.execute(
    'registerAgent',
    { ...agent('x', { swarm: 'b', ...change }), migration },
    { principal, now: pool.now },
  );
const moveOf = (pool: Pool, name = 'x', swarm = 'a') =>
  pool.run.execute('listAssignments', { swarm, agent: name, instance: 'i1' }).move;

describe('a migration', () => {
  test('drains, transfers, and in one record the agent is the other swarm’s', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.confirm('t1');
    const { id } = migrate(pool, { graceMs: 5000 });
    expect(stateOf(pool, id)).toBe('DRAINING');
    expect(moveOf(pool)).toBeUndefined();
    pool.report('t1');
    expect(stateOf(pool, id)).toBe('TRANSFERRING');
    expect(moveOf(pool)).toMatchObject({ migration: id, swarm: 'b', name: 'x' });
    pool.submit('waits', { swarm: 'b' });
    const from = pool.run.events.length;
    arrive(pool, id);
    expect(pool.types(from)).toEqual(['agent.migrated', 'task.assigned']);
    expect(stateOf(pool, id)).toBe('ACTIVE');
    expect([...pool.run.state.agents.keys()]).toEqual(['b/x']);
    expect(pool.run.state.measures.get('b/x')?.samples).toBe(1);
    expect(pool.where('waits')).toBe('ASSIGNED on b/x');
    arrive(pool, id);
    expect(pool.types(from)).toEqual(['agent.migrated', 'task.assigned']);
  });

  test('moves what runs after the grace time, and an idle agent goes at once', () => {
    const pool = new Pool();
    pool.register('x');
    pool.register('y');
    pool.submit('t1', { maxAttempts: 1 });
    pool.confirm('t1');
    const name = pool.where('t1').slice(-1);
    const { id } = migrate(pool, { name, graceMs: 5000 });
    pool.pass(5000);
    expect(stateOf(pool, id)).toBe('TRANSFERRING');
    expect(pool.where('t1')).toBe(`ASSIGNED on a/${name === 'x' ? 'y' : 'x'}`);
    pool.register('z', { type: 'test' });
    const idle = migrate(pool, { name: 'z', graceMs: 60_000, newName: 'zz' });
    expect(stateOf(pool, idle.id)).toBe('TRANSFERRING');
    expect(moveOf(pool, 'z')).toMatchObject({ name: 'zz' });
  });

  test('takes a lent agent out of its lease first', () => {
    const pool = new Pool();
    pool.register('x');
    pool.run.execute('requestAgent', {
      ...{ swarm: 'c', type: 'lint', capabilities: [], termMs: 0, lender: '', waitMs: 0, priority: 0, id: '' },
    });
    const { id } = migrate(pool);
    expect(stateOf(pool, id)).toBe('TRANSFERRING');
    expect([...pool.run.state.leases.values()][0]?.state).toBe('LEASE_STATE_REVOKED');
  });

  test('that nobody goes on with is cancelled, and the agent works again', () => {
    const pool = new Pool({ transferMs: 10_000 });
    pool.register('x');
    const { id } = migrate(pool);
    pool.submit('t1');
    expect(pool.where('t1')).toBe('QUEUED');
    pool.pass(10_000);
    expect(stateOf(pool, id)).toBe('CANCELLED');
    expect(pool.run.state.migrations.get(id)?.reason).toBe('the agent did not register in swarm b within 10s');
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
    expect(() => arrive(pool, id)).toThrow(/is cancelled: the agent did not register.*only one that is transferring/);
  });

  test('survives the agent: a new instance is told again; with the agent it ends', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.confirm('t1');
    const { id } = migrate(pool, { graceMs: 60_000 });
    pool.observe('a/x', 'UNREACHABLE');
    expect(stateOf(pool, id)).toBe('TRANSFERRING');
    const { move } = pool.run.execute('registerAgent', agent('x', { instance: 'i2' }));
    expect(move).toMatchObject({ migration: id });
    expect(() => arrive(pool, id)).toThrow(/instance "i1" of agent "a\/x" is not the current one, which is "i2"/);
    pool.run.execute('deregisterAgent', { swarm: 'a', name: 'x', instance: '' });
    expect(stateOf(pool, id)).toBe('CANCELLED');
  });

  test('leaves a sign: an agent that is started where it was is sent to where it is', () => {
    const pool = new Pool();
    pool.register('x');
    const { id } = migrate(pool);
    arrive(pool, id);
    expect(migrate(pool).id).toBe(id);
    const again = () => pool.register('x', { instance: 'i2' });
    expect(again).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION', reason: 'MIGRATED' }));
    arrive(pool, id, { instance: 'i2' });
    expect(pool.run.state.agents.get('b/x')?.instance).toBe('i2');
    pool.run.execute('deregisterAgent', { swarm: 'b', name: 'x', instance: '' });
    again();
    expect([...pool.run.state.agents.keys()]).toEqual(['a/x']);
  });
});

describe('a migration explained', () => {
  const explain = (pool: Pool, id: string) => pool.run.query('explain', { id, minRevision: '0' }, { now: pool.now });
  const texts = (pool: Pool, id: string) => explain(pool, id).history.map(({ text }) => text);
  const at = (pool: Pool, ms: number) => new Date(pool.now + ms).toISOString();

  test('says whose yes it waits for, and until when', () => {
    const pool = new Pool();
    pool.register('x');
    const { id } = migrate(pool, { reason: 'more docs' }, queen('a'));
    const { summary, migration } = explain(pool, id);
    expect(summary).toBe('waits for the yes of swarm b, for another 1h at most');
    expect(migration).toMatchObject({ waitingFor: 'the yes of swarm b', deadline: at(pool, 3_600_000) });
    expect(texts(pool, id)).toEqual(['a/x shall be b/x, asked for by swarm:a: more docs']);
  });

  test('says what the agent still runs, what it left to others, and where it is in the end', () => {
    const pool = new Pool();
    pool.register('x', { slots: 2 });
    pool.submit('t1');
    pool.confirm('t1');
    pool.submit('t2');
    const { id } = migrate(pool, { graceMs: 5000 });
    const draining = explain(pool, id);
    expect(draining.summary).toBe(
      'a/x gets nothing new and finishes t1, for another 5s at most; then others go on with it',
    );
    expect(draining.migration).toMatchObject({ running: ['t1'], left: ['t2'], deadline: at(pool, 5000) });
    pool.pass(5000);
    const due = explain(pool, id);
    expect(due.migration).toMatchObject({ running: [], left: ['t1', 't2'], deadline: at(pool, 60_000) });
    expect(due.summary).toBe(
      'a/x runs nothing any more and must register in swarm b, with its key, within 1m, or it stays',
    );
    arrive(pool, id, { slots: 2 });
    expect(explain(pool, id)).toMatchObject({
      summary: 'a/x moved 0ms ago and is b/x',
      migration: { migration: { id, state: 'MIGRATION_STATE_ACTIVE' }, waitingFor: '', left: ['t1', 't2'] },
    });
    expect(explain(pool, id).migration?.deadline).toBeUndefined();
  });

  test('that came to nothing says why; what nobody knows is told what can be explained', () => {
    const pool = new Pool();
    pool.register('x');
    const { id } = migrate(pool);
    cancel(pool, id);
    expect(explain(pool, id).summary).toBe('a/x stayed in swarm a: cancelled by operator:ada: no');
    expect(texts(pool, id)[1]).toBe('ended: cancelled by operator:ada: no');
    expect(() => explain(pool, 'nothing')).toThrow(/task, group, lease, request or migration "nothing"/);
  });
});

describe('who may move an agent', () => {
  test('both swarms, in any order; the giver’s grace time counts', () => {
    const pool = new Pool();
    pool.register('x');
    const { id, state } = migrate(pool, { graceMs: 1000 }, queen('b'));
    expect(state).toBe('MIGRATION_STATE_PROPOSED');
    pool.submit('t1');
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
    expect(migrate(pool, { graceMs: 1000 }, queen('b'))).toMatchObject({ id, given: false, taken: true });
    expect(migrate(pool, { graceMs: 7000 }, queen('a'))).toMatchObject({ id, given: true, taken: true, graceMs: 7000 });
    expect(stateOf(pool, id)).toBe('TRANSFERRING');
  });

  test('one alone waits, for an hour', () => {
    const pool = new Pool();
    pool.register('x');
    const { id } = migrate(pool, {}, queen('a'));
    pool.pass(3_600_000);
    expect(stateOf(pool, id)).toBe('CANCELLED');
    expect(pool.run.state.migrations.get(id)?.reason).toBe('swarm b did not agree within 1h');
  });

  test('an operator, as far as the swarm lends; its own key gives nevertheless', () => {
    const pool = new Pool();
    pool.register('x');
    const policy = { swarm: 'a', closed: true, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
    const set = { policy: { ...policy, version: '0', setBy: '' }, expectedVersion: '0' };
    pool.run.execute('setLendingPolicy', set);
    expect(() => migrate(pool)).toThrow(/swarm "a" lends nothing to swarm "b", by version 1 of its lending policy/);
    migrate(pool, {}, queen('a'));
    expect(migrate(pool).state).toBe('MIGRATION_STATE_TRANSFERRING');
  });

  test('no stranger; the agent itself may only refuse', () => {
    const pool = new Pool();
    pool.register('x');
    expect(() => migrate(pool, {}, queen('c'))).toThrow(/may not move an agent to another swarm/);
    expect(() => migrate(pool, {}, agentPrincipal('a', 'x'))).toThrow(/may not move an agent to another swarm/);
    const { id } = migrate(pool);
    expect(() => cancel(pool, id, agentPrincipal('a', 'y'))).toThrow(/may not cancel a migration/);
    expect(cancel(pool, id, agentPrincipal('a', 'x'))?.state).toBe('MIGRATION_STATE_CANCELLED');
    expect(cancel(pool, id)?.reason).toBe('cancelled by agent:a/x: no');
    expect(pool.run.state.agents.get('a/x')?.lameDuck).toBeUndefined();
  });

  test('only with the other swarm’s key, of the registration that agreed', () => {
    const pool = new Pool();
    pool.register('x');
    const { id } = migrate(pool);
    expect(() => arrive(pool, id, {}, agentPrincipal('a', 'x'))).toThrow(/may not register an agent/);
    const { swarms } = knownSwarms('a', 'b');
    const soft = { swarms: { ...swarms, registrationOf: () => 'b-2' } };
    const again = { ...agent('x', { swarm: 'b' }), migration: id };
    expect(() => pool.run.execute('registerAgent', again, { soft })).toThrow(/was registered anew since it agreed/);
  });

  test('refused: another move at the same time, a name that is taken, resuming, a foreign id', () => {
    const pool = new Pool();
    pool.register('x');
    pool.register('x', { swarm: 'b' });
    expect(() => migrate(pool)).toThrow(/swarm "b" has an agent "x" already; give newName/);
    const { id } = migrate(pool, { newName: 'y' });
    expect(() => migrate(pool, { to: 'c' })).toThrow(/moves to "b\/y" already/);
    expect(() => pool.run.execute('resumeAgent', { swarm: 'a', name: 'x' })).toThrow(/moves by ".*": cancel that/);
    expect(() => arrive(pool, id)).toThrow(/leads to agent "b\/y", not "b\/x"/);
    expect(() => arrive(pool, 'migration-none')).toThrow(/migration "migration-none"/);
    expect(() => migrate(pool, { to: 'nobody' })).toThrow(/swarm "nobody"/);
  });
});
