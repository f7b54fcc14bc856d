import { expect, test } from 'vitest';
import { agentPrincipal, Pool } from './fixtures.ts';

const PAYLOAD = 'x'.repeat(200 * 1024);
const LIST = { swarm: '', states: [], labels: {}, group: '', pageSize: 1000, minRevision: '0' };

const bytesOf = (answer: unknown): number => Buffer.byteLength(JSON.stringify(answer));

test('a page of tasks ends when its message is full, and the next one goes on', () => {
  const pool = new Pool();
  const ids = Array.from({ length: 9 }, (_, i) => `t${i}`);
  for (const id of ids) pool.submit(id, { payload: PAYLOAD });
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = pool.run.query('listTasks', { ...LIST, pageToken });
    expect(bytesOf(page)).toBeLessThan(1_000_000);
    expect(page.total).toBe(9);
    found.push(...page.tasks.map(({ id }) => id));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(found).toEqual(ids);
});

test('an agent is told of everything that it runs, whatever that weighs', () => {
  const pool = new Pool();
  pool.register('x', { slots: 10 });
  const ids = Array.from({ length: 9 }, (_, i) => `t${i}`);
  for (const id of ids) pool.submit(id, { payload: PAYLOAD });
  const list = () => pool.run.execute('listAssignments', { swarm: 'a', agent: 'x', instance: 'i1' }, agent).assignments;
  const agent = { principal: agentPrincipal('a', 'x') };
  expect(list().map(({ spec }) => spec !== undefined)).toEqual([true, true, true]); // the rest is sent to it anyway
  for (const id of ids) pool.confirm(id, agent.principal);
  expect(list().map(({ task }) => task)).toEqual(ids);
  expect(list().filter(({ spec }) => spec)).toHaveLength(3);
  expect(bytesOf(list())).toBeLessThan(1_000_000);
});
