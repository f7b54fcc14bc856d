import { expect, test } from 'vitest';
import { agentPrincipal, Pool, queen } from './fixtures.ts';

const AGENT = agentPrincipal('a', 'x');

function add(pool: Pool, id: string, name: string, change: { bytes?: number; digest?: string; attempt?: number } = {}) {
  const { number = 0, instance = '' } = pool.task(id).attempts.at(-1) ?? {};
  const { bytes = 10, digest = `of ${name}`, attempt = number } = change;
  const artefact = { name, mediaType: '', bytes, digest, parts: 1, attempt: 0 };
  return pool.run.execute(
    'addArtefact',
    { task: id, attempt, instance, artefact },
    { principal: AGENT, now: pool.now },
  );
}

function put(pool: Pool, id: string, name: string) {
  const { number = 0, instance = '' } = pool.task(id).attempts.at(-1) ?? {};
  const said = { task: id, attempt: number, instance, name, part: 0, data: '' };
  return pool.run.execute('putArtefactPart', said, { principal: AGENT, now: pool.now });
}

const names = (pool: Pool, id: string) => pool.task(id).artefacts?.items.map(({ name, attempt }) => [name, attempt]);
const refused = (code: string, reason: string) => expect.objectContaining({ code, reason });

function started(settings = {}): Pool {
  const pool = new Pool(settings);
  pool.register('x', { slots: 2 });
  pool.submit('t1', { maxAttempts: 3 });
  pool.confirm('t1', AGENT);
  return pool;
}

test("what an attempt has stored is its task's when it succeeds, and nothing is left of one that is tried again", () => {
  const pool = started();
  add(pool, 't1', 'a.txt');
  pool.report('t1', 'OUTCOME_FAILED');
  expect(names(pool, 't1')).toBeUndefined();
  pool.confirm('t1', AGENT);
  add(pool, 't1', 'a.txt', { digest: 'another' });
  add(pool, 't1', 'b.txt');
  pool.report('t1');
  expect(names(pool, 't1')).toEqual([
    ['a.txt', 2],
    ['b.txt', 2],
  ]);
  expect(pool.run.query('artefact', { task: 't1', name: 'a.txt' })).toMatchObject({ digest: 'another', attempt: 2 });
  expect(() => pool.run.query('artefact', { task: 't1', name: 'c' })).toThrow('the task has a.txt, b.txt');
  expect(() => pool.run.query('artefact', { task: 't9', name: 'c' })).toThrow(
    expect.objectContaining({ code: 'NOT_FOUND' }),
  );
});

test('only the current, confirmed attempt stores, and a name is one content', () => {
  const pool = started();
  add(pool, 't1', 'a.txt');
  const before = pool.run.events.length;
  add(pool, 't1', 'a.txt');
  expect(pool.run.events).toHaveLength(before);
  expect(() => add(pool, 't1', 'a.txt', { digest: 'another' })).toThrow(refused('ALREADY_EXISTS', 'OTHER_CONTENT'));
  expect(() => put(pool, 't1', 'a.txt')).toThrow(refused('ALREADY_EXISTS', 'OTHER_CONTENT'));
  put(pool, 't1', 'b.txt');
  expect(() => add(pool, 't1', 'b.txt', { attempt: 2 })).toThrow(refused('ABORTED', 'STALE_ATTEMPT'));
  pool.submit('t2');
  expect(() => put(pool, 't2', 'a.txt')).toThrow(refused('ABORTED', 'STALE_ATTEMPT'));
  pool.report('t1');
  expect(() => put(pool, 't1', 'c.txt')).toThrow(refused('ABORTED', 'STALE_ATTEMPT'));
  const stranger = { task: 't2', attempt: 1, instance: 'i1', name: 'a', part: 0, data: '' };
  const steal = () => pool.run.execute('putArtefactPart', stranger, { principal: queen('b') });
  expect(steal).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
});

test('they are bounded, by number and all together, and make room when their task is forgotten', () => {
  const pool = started({ maxArtefactBytes: 1000, keepTasks: 0, retentionBatch: 1, keepMs: 1000 });
  for (let i = 0; i < 32; i++) add(pool, 't1', `a${i}`, { bytes: 30 });
  expect(() => add(pool, 't1', 'a32', { bytes: 1 })).toThrow(refused('RESOURCE_EXHAUSTED', 'TOO_MANY_ARTEFACTS'));
  pool.submit('t2');
  pool.confirm('t2', AGENT);
  expect(() => add(pool, 't2', 'b', { bytes: 41 })).toThrow(refused('RESOURCE_EXHAUSTED', 'ARTEFACTS_FULL'));
  expect(pool.run.restore().artefactBytes.value).toBe(960);
  pool.report('t1');
  pool.pass(5000);
  expect(pool.run.state.artefactBytes.value).toBe(0);
  add(pool, 't2', 'b', { bytes: 1000 });
});
