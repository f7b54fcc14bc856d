import { describe, expect, test } from 'vitest';
import { agentPrincipal, Pool, queen, START, wanted } from './fixtures.ts';

const drain = (pool: Pool, name: string, graceMs = 0, swarm = 'a', principal = pool.operator) =>
  pool.run.execute(
    'drainAgent',
    { swarm, name, instance: '', graceMs, reason: 'upgrade' },
    { principal, now: pool.now },
  );
const resume = (pool: Pool, name: string) => pool.run.execute('resumeAgent', { swarm: 'a', name }, { now: pool.now });
const agentOf = (pool: Pool, key: string) => pool.run.state.agents.get(key);

const CLAIMED = { claim: true, resume: false };

/** The agent of t1 says that it does not go on with it. */
function giveBack(pool: Pool) {
  const { number = 0, instance = '' } = pool.task('t1').attempts.at(-1) ?? {};
  const said = { outcome: 'OUTCOME_LOST', result: undefined, reason: 'it leaves' } as const;
  const report = { task: 't1', attempt: number, instance, ...said };
  pool.run.execute('reportTask', report);
  return report;
}

describe('an agent that is taken out of service', () => {
  test('is given nothing new, and finishes what it has', () => {
    const pool = new Pool();
    pool.register('x', { slots: 2 });
    pool.submit('t1');
    pool.confirm('t1');
    const { agent } = drain(pool, 'x', 5000);
    expect(agent?.drain).toMatchObject({ done: false, reason: 'upgrade', until: new Date(START + 5000).toISOString() });
    pool.submit('t2');
    expect(pool.where('t2')).toBe('QUEUED');
    expect(pool.task('t2').waitingFor).toContain('1 draining');
    const from = pool.run.events.length;
    pool.report('t1');
    expect(pool.types(from)).toEqual(['task.ended', 'agent.drained']);
    pool.pass(10_000);
    expect(pool.types(from)).toEqual(['task.ended', 'agent.drained']);
    expect(pool.where('t2')).toBe('QUEUED');
  });

  test('gives back what is left after the grace time, with no attempt used up, and is told to stop', () => {
    const pool = new Pool();
    pool.register('x', { slots: 2 });
    pool.submit('t1', { maxAttempts: 1 });
    pool.confirm('t1');
    pool.register('y');
    drain(pool, 'x', 5000);
    pool.pass(4999);
    expect(pool.where('t1')).toBe('RUNNING on a/x');
    pool.pass(1);
    expect(pool.where('t1')).toBe('ASSIGNED on a/y');
    expect(pool.task('t1').attempts[0]).toMatchObject({
      outcome: 'OUTCOME_MOVED',
      reason: 'its agent is taken out of service: upgrade',
    });
    expect([...pool.run.state.deliveries.keys()]).toEqual(['t1.1.stop', 't1.2.assign']);
    expect(agentOf(pool, 'a/x')?.lameDuck?.isDrained).toBe(true);
  });

  test('without a grace time its work moves at once; idle, it is drained at once', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    drain(pool, 'x');
    pool.pass(0);
    expect(pool.where('t1')).toBe('QUEUED');
    pool.register('y', { type: 'test' });
    const from = pool.run.events.length;
    drain(pool, 'y', 60_000);
    expect(pool.types(from)).toEqual(['agent.draining', 'agent.drained']);
  });

  test('another drain sets the grace time anew, from then on', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1');
    pool.confirm('t1');
    drain(pool, 'x', 600_000);
    pool.pass(1000);
    drain(pool, 'x', 2000);
    pool.pass(2000);
    expect(pool.where('t1')).toBe('QUEUED');
  });

  test('works again when it is resumed, and as a new instance', () => {
    const pool = new Pool();
    pool.register('x');
    drain(pool, 'x');
    pool.submit('t1');
    expect(resume(pool, 'x').agent?.drain).toBeUndefined();
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
    const from = pool.run.events.length;
    resume(pool, 'x');
    expect(pool.types(from)).toEqual([]);
    drain(pool, 'x', 1000);
    pool.register('x');
    expect(agentOf(pool, 'a/x')?.lameDuck).toBeDefined();
    pool.register('x', { instance: 'i2' });
    expect(agentOf(pool, 'a/x')?.lameDuck).toBeUndefined();
    expect(pool.where('t1')).toBe('ASSIGNED on a/x');
  });

  test('that leaves gives back what it has: no attempt is used up', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { maxAttempts: 1 });
    pool.confirm('t1');
    drain(pool, 'x', 60_000);
    pool.run.execute('deregisterAgent', { swarm: 'a', name: 'x', instance: 'i1' });
    expect(pool.where('t1')).toBe('QUEUED');
    expect(pool.task('t1').attempts[0]?.outcome).toBe('OUTCOME_MOVED');
  });

  test('may give back early what it has: no attempt is used up, and a repeat of that is known', () => {
    const pool = new Pool();
    pool.register('x');
    pool.submit('t1', { maxAttempts: 1, continuity: CLAIMED });
    pool.confirm('t1');
    drain(pool, 'x', 60_000);
    const report = giveBack(pool);
    expect(pool.where('t1')).toBe('QUEUED'); // nobody waits for the claim, whose holder says that it is over
    expect(pool.task('t1').attempts[0]).toMatchObject({ outcome: 'OUTCOME_MOVED', reason: 'it leaves' });
    const from = pool.run.events.length;
    expect(pool.run.execute('reportTask', report).state).toBe('TASK_STATE_QUEUED');
    expect(() => pool.run.execute('reportTask', { ...report, outcome: 'OUTCOME_FAILED' })).toThrow(
      /not the current one/,
    );
    expect(pool.types(from)).toEqual([]);
    pool.register('y');
    pool.confirm('t1');
    giveBack(pool); // y stays in service
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_FAILED', reason: 'attempt 1 of 1: it leaves' });
  });

  test('gives a task back only so often', () => {
    const pool = new Pool({ maxMoves: 3 });
    pool.submit('t1', { maxAttempts: 1 });
    for (let i = 0; i < 3; i++) {
      pool.register('x', { instance: `i${i}` });
      expect(pool.where('t1')).toBe('ASSIGNED on a/x');
      pool.confirm('t1');
      drain(pool, 'x', 60_000);
      giveBack(pool);
    }
    expect(pool.task('t1')).toMatchObject({ state: 'TASK_STATE_FAILED', reason: 'moved 3 times; last: it leaves' });
  });

  test('is lent no more: its lease ends with the same grace time', () => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b' });
    const { lease } = pool.run.execute('requestAgent', wanted());
    pool.submit('t1');
    pool.confirm('t1');
    drain(pool, 'x', 3000, 'b');
    const leaseOf = () => pool.run.state.leases.get(lease?.id ?? '');
    expect(leaseOf()?.state).toBe('LEASE_STATE_DRAINING');
    pool.pass(3000);
    expect(leaseOf()).toMatchObject({ state: 'LEASE_STATE_REVOKED' });
    expect(leaseOf()?.reason).toBe('its agent is taken out of service: upgrade');
    expect(pool.where('t1')).toBe('QUEUED');
    expect(() => pool.run.execute('requestAgent', wanted())).toThrow(
      /1 candidate in other swarms, of those 1 draining/,
    );
  });

  test('only it, its swarm and operators may; the instance is looked at', () => {
    const pool = new Pool();
    pool.register('x');
    expect(() => drain(pool, 'x', 0, 'a', queen('b'))).toThrow(/may not drain an agent/);
    expect(() => drain(pool, 'x', 0, 'a', agentPrincipal('a', 'y'))).toThrow(/may not drain an agent/);
    drain(pool, 'x', 0, 'a', agentPrincipal('a', 'x'));
    const other = { swarm: 'a', name: 'x', instance: 'i9', graceMs: 0, reason: '' };
    expect(() => pool.run.execute('drainAgent', other)).toThrow(/instance "i9" of agent "a\/x" is not the current one/);
    expect(() => drain(pool, 'nobody')).toThrow(/agent "a\/nobody"/);
  });
});
