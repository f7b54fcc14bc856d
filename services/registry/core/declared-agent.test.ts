import { expect, test } from 'vitest';
import type { AgentSpec } from '../../../libs/wire/hivebus/registry/v1/agent.ts';
import { queen, refusal, testRegistry } from './fixtures.ts';

const spec = (change: Partial<AgentSpec> = {}): AgentSpec => ({
  ...{ type: 'researcher', clusterRef: '', cognitivePattern: '', priority: 0, maxConcurrentTasks: 0 },
  ...{ capabilities: [], specialization: [], neuralModels: [], nodeSelector: {}, tolerations: [], ...change },
});

const put = (name: string, change: Partial<AgentSpec> = {}, more = {}) => ({
  ...{ swarm: 'research', name, spec: spec(change), expectedRevision: '0', dryRun: false, ...more },
});

test('each change is the next generation, the same spec is none, a dry run is told and forgotten', () => {
  const registry = testRegistry();
  registry.join('research');
  const owner = { principal: queen('research') };
  const execute = (input: ReturnType<typeof put>) => registry.execute('putDeclaredAgent', input, owner);
  expect(execute(put('lead', {}, { dryRun: true }))).toMatchObject({ created: true, changed: true });
  expect(execute(put('lead'))).toMatchObject({ created: true, changed: true, agent: { generation: '1' } });
  expect(execute(put('lead'))).toMatchObject({ created: false, changed: false, agent: { generation: '1' } });
  expect(execute(put('lead', { priority: 9 }, { dryRun: true }))).toMatchObject({ agent: { generation: '2' } });
  expect(execute(put('lead', { priority: 7 }))).toMatchObject({ changed: true, agent: { generation: '2' } });
  expect(registry.query('getDeclaredAgent', { swarm: 'research', name: 'lead' })).toMatchObject({
    agent: { spec: { priority: 7 } },
  });
  expect(registry.rows(registry.replay())).toEqual(registry.rows());
});

test('the owner of the swarm and operators only; a stale revision is refused', () => {
  const registry = testRegistry();
  registry.join('research');
  const thief = { principal: queen('research', 'thief') };
  registry.execute('putDeclaredAgent', put('lead'), { principal: queen('research') });
  expect(refusal(() => registry.execute('putDeclaredAgent', put('lead'), thief))).toMatchObject({
    reason: 'NOT_OWNER',
  });
  const remove = { swarm: 'research', name: 'lead', expectedRevision: '0' };
  expect(refusal(() => registry.execute('deleteDeclaredAgent', remove, thief))).toMatchObject({ reason: 'NOT_OWNER' });
  const stale = () => registry.execute('putDeclaredAgent', put('lead', { priority: 1 }, { expectedRevision: '99' }));
  expect(refusal(stale)).toMatchObject({ code: 'ABORTED', reason: 'STALE_REVISION' });
  registry.execute('deleteDeclaredAgent', remove, { principal: queen('research') });
  expect(refusal(() => registry.execute('deleteDeclaredAgent', remove))).toMatchObject({ code: 'NOT_FOUND' });
});

test('they are listed by swarm and name, in pages', () => {
  const registry = testRegistry();
  for (const swarm of ['b', 'a', 'a-b']) {
    registry.join(swarm);
    for (const name of ['y', 'x'])
      registry.execute('putDeclaredAgent', put(name, {}, { swarm }), { principal: queen(swarm) });
  }
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = registry.query('listDeclaredAgents', { swarm: '', pageSize: 4, pageToken });
    found.push(...page.agents.map(({ swarm, name }) => `${swarm}/${name}`));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(found).toEqual(['a-b/x', 'a-b/y', 'a/x', 'a/y', 'b/x', 'b/y']);
  const own = registry.query('listDeclaredAgents', { swarm: 'a', pageSize: 0, pageToken: '' });
  expect(own.agents).toHaveLength(2);
});
