import { expect, test } from 'vitest';
import { HOST_LABEL, KEEPS_VOLUMES } from '../../../libs/protocol/volumes.ts';
import { Pool } from './fixtures.ts';

const on = (host: string) => ({ labels: { [KEEPS_VOLUMES]: 'yes', [HOST_LABEL]: host } });
const VOLUMES = { volumes: { names: ['work'] }, maxAttempts: 9 };

test('a task with volumes goes to an agent that keeps some, and then to others of that host alone', () => {
  const pool = new Pool();
  pool.register('plain');
  pool.submit('t1', VOLUMES);
  expect(pool.where('t1')).toBe('QUEUED');
  pool.register('x', on('h1'));
  expect(pool.where('t1')).toBe('ASSIGNED on a/x');
  pool.confirm('t1');
  pool.register('y', on('h2'));
  pool.observe('a/x', 'UNREACHABLE');
  expect(pool.where('t1')).toBe('QUEUED');
  expect(pool.task('t1').waitingFor).toBe(
    'a free agent of type lint on host h1, where its volumes are, for swarm a: 3 of its own, of those 1 unreachable, 2 lacking a capability or label',
  );
  const { placement } = pool.run.query('explain', { id: 't1', wish: undefined, minRevision: '0' });
  expect(placement?.conditions.map(({ text, ruledOut }) => [text, ruledOut])).toEqual(
    expect.arrayContaining([
      ['keeps volumes', 1],
      ['is on host h1, where its volumes are', 1],
    ]),
  );
  pool.register('z', on('h1'));
  expect(pool.where('t1')).toBe('ASSIGNED on a/z');
  expect(pool.run.state.tasks.get('t1')?.host).toBe('h1');
});

test('as long as nobody has begun it is bound to no host', () => {
  const pool = new Pool({ confirmMs: 1000 });
  pool.register('x', on('h1'));
  pool.submit('t1', VOLUMES);
  pool.register('y', on('h2'));
  pool.pass(1000);
  expect(pool.where('t1')).toBe('ASSIGNED on a/y');
});

test('a task without volumes has no host', () => {
  const pool = new Pool();
  pool.register('x', on('h1'));
  pool.submit('t1');
  pool.confirm('t1');
  expect(pool.run.state.tasks.get('t1')?.host).toBeUndefined();
});
