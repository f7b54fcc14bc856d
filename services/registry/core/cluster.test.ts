import { expect, test } from 'vitest';
import type { ClusterSpec } from '../../../libs/wire/hivebus/registry/v1/cluster.ts';
import { OPERATOR, queen, refusal, testRegistry } from './fixtures.ts';

const EMPTY_SPEC = { topology: '', queenMode: '', strategy: '', consensusThreshold: 0, persistentVolumes: [] };

const put = (spec: Partial<ClusterSpec> = {}, expectedRevision = '0') => ({
  name: 'research',
  swarm: '',
  spec: { ...EMPTY_SPEC, ...spec },
  expectedRevision,
  dryRun: false,
});

test('each change of a spec is the next generation, the same spec is none', () => {
  const registry = testRegistry();
  registry.join('research');
  const owner = { principal: queen('research') };
  expect(registry.execute('putCluster', put({ topology: 'mesh' }), owner)).toMatchObject({
    created: true,
    cluster: { swarm: 'research', generation: '1', revision: '2' },
  });
  expect(registry.execute('putCluster', put({ topology: 'mesh' }))).toMatchObject({ cluster: { generation: '1' } });
  expect(registry.execute('putCluster', put({ topology: 'ring' }))).toMatchObject({
    created: false,
    cluster: { generation: '2', spec: { topology: 'ring' } },
  });
  expect(registry.query('listClusters', { swarm: 'research', pageSize: 0, pageToken: '' }).clusters).toHaveLength(1);
  expect(registry.query('listClusters', { swarm: 'other', pageSize: 0, pageToken: '' }).clusters).toHaveLength(0);
  expect(registry.rows(registry.replay())).toEqual(registry.rows());
});

test('a stale revision is refused with both', () => {
  const registry = testRegistry();
  registry.execute('putCluster', put({ topology: 'mesh' }), { principal: OPERATOR });
  registry.execute('putCluster', put({ topology: 'ring' }));
  const error = refusal(() => registry.execute('putCluster', put({ topology: 'star' }, '1')));
  expect(error).toMatchObject({ code: 'ABORTED' });
  expect(String(error)).toMatch(/revision 2.*revision 1/);
});

test('only the owner of the swarm and operators; of a swarm that is not registered only operators', () => {
  const registry = testRegistry();
  const run = (swarm: string, key: string) => () =>
    registry.execute('putCluster', put(), { principal: queen(swarm, key) });
  expect(refusal(run('research', 'research'))).toMatchObject({ code: 'PERMISSION_DENIED' });
  registry.join('research');
  expect(refusal(run('research', 'thief'))).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NOT_OWNER' });
  run('research', 'research')();
  const remove = { name: 'research', expectedRevision: '0' };
  const other = () => registry.execute('deleteCluster', remove, { principal: queen('other') });
  expect(refusal(other)).toMatchObject({ code: 'PERMISSION_DENIED' });
  registry.execute('deleteCluster', remove, { principal: queen('research') });
  expect(refusal(() => registry.query('getCluster', { name: 'research' }))).toMatchObject({ code: 'NOT_FOUND' });
  expect(refusal(() => registry.execute('deleteCluster', remove))).toMatchObject({ code: 'NOT_FOUND' });
});

test('a cluster cannot be moved away from a swarm that another owns', () => {
  const registry = testRegistry();
  registry.join('research');
  registry.join('other');
  registry.execute('putCluster', put(), { principal: queen('research') });
  const steal = () => registry.execute('putCluster', { ...put(), swarm: 'other' }, { principal: queen('other') });
  expect(refusal(steal)).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NOT_OWNER' });
});

test('nobody takes the cluster that has the name of another swarm, or more than a few', () => {
  const registry = testRegistry();
  registry.join('research');
  registry.join('code');
  const owner = { principal: queen('research') };
  const cluster = (name: string, spec = {}) => ({ ...put(spec), name, swarm: 'research' });
  const squat = () => registry.execute('putCluster', cluster('code'), owner);
  expect(refusal(squat)).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NOT_OWNER' });
  for (let i = 0; i < 16; i++) registry.execute('putCluster', cluster(`c${i}`), owner);
  expect(refusal(() => registry.execute('putCluster', cluster('c16'), owner))).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_CLUSTERS',
  });
  registry.execute('putCluster', cluster('c1', { topology: 'ring' }), owner);
  const first = registry.query('listClusters', { swarm: '', pageSize: 10, pageToken: '' });
  const second = registry.query('listClusters', { swarm: '', pageSize: 10, pageToken: first.nextPageToken });
  expect([first.clusters.length, second.clusters.length, second.nextPageToken]).toEqual([10, 6, '']);
});

test('a dry run says what would be, and changes nothing', () => {
  const registry = testRegistry();
  const dry = (spec: Partial<ClusterSpec>) => registry.execute('putCluster', { ...put(spec), dryRun: true });
  expect(dry({ topology: 'mesh' })).toMatchObject({ created: true, changed: true, cluster: { generation: '1' } });
  expect(refusal(() => registry.query('getCluster', { name: 'research' }))).toMatchObject({ code: 'NOT_FOUND' });
  registry.execute('putCluster', put({ topology: 'mesh' }));
  expect(dry({ topology: 'mesh' })).toMatchObject({ created: false, changed: false, cluster: { generation: '1' } });
  expect(dry({ topology: 'star' })).toMatchObject({ changed: true, cluster: { generation: '2' } });
  expect(registry.query('getCluster', { name: 'research' })).toMatchObject({ cluster: { spec: { topology: 'mesh' } } });
  const stranger = () =>
    registry.execute('putCluster', { ...put(), dryRun: true }, { principal: queen('research', 'thief') });
  expect(refusal(stranger)).toMatchObject({ code: 'PERMISSION_DENIED' });
});
