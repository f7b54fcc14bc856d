import { afterAll, beforeAll, expect, test } from 'vitest';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import type { WatchSwarmsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type Harness, startHarness } from './registry-harness.ts';

let hive: Harness;

beforeAll(async () => {
  hive = await startHarness();
  await hive.start();
});

afterAll(() => hive[Symbol.asyncDispose]());

const coder = { agentType: 'coder', capacity: 4, specializations: ['ml'], skills: ['lint'] };

test('a swarm registers, is announced, found, listed, changed and gone', async () => {
  const code = hive.as('swarm:code');
  const announced: string[] = [];
  const subscription = hive.nc.subscribe('hive.main.registry.>', {
    callback: (_, message) => void announced.push(message.subject),
  });
  await hive.nc.flush();
  const first = await code.registerSwarm({ name: 'code', project: 'p', capabilities: [coder], tags: ['x'] });
  expect(first).toMatchObject({ created: true, changed: true });
  expect(await code.registerSwarm({ name: 'code', project: 'p', capabilities: [coder], tags: ['x'] })).toMatchObject({
    created: false,
    changed: false,
    swarmRevision: first.swarmRevision,
  });

  const nobody = hive.as('');
  const { swarm } = await nobody.getSwarm({ name: 'code', minRevision: first.revision });
  expect(swarm).toMatchObject({
    name: 'code',
    liveness: 'LIVENESS_HEALTHY',
    publicKey: hive.keys.get('swarm:code')?.publicKey,
  });
  expect((await nobody.listSwarms({ linearizable: true })).swarms.map(({ name }) => name)).toEqual(['code']);
  const { swarms } = await nobody.findSwarms({ agentType: 'coder', skills: ['lint'] });
  expect(swarms[0]?.score?.parts.map(({ name }) => name)).toContain('specializations');

  await code.deregisterSwarm({ name: 'code' });
  await until(() => announced.length === 2);
  subscription.unsubscribe();
  expect(announced).toEqual(['hive.main.registry.swarm.registered.code', 'hive.main.registry.swarm.removed.code']);
});

test('the federation main is there; others are made by operators and have swarms of their own', async () => {
  const ada = hive.as('operator:ada');
  expect((await ada.getFederation({})).federation).toMatchObject({ name: 'main', joinPolicy: 'JOIN_POLICY_OPEN' });
  expect(await refused(hive.as('swarm:code').initFederation({ name: 'lab' }))).toMatchObject({
    code: 'PERMISSION_DENIED',
  });
  expect(await refused(hive.as('').initFederation({ name: 'lab' }))).toMatchObject({ code: 'UNAUTHENTICATED' });
  const lab = { name: 'lab', description: 'for tests', joinPolicy: 'JOIN_POLICY_OPERATOR' } as const;
  expect(await ada.initFederation(lab)).toMatchObject({ created: true });
  expect(await ada.initFederation(lab)).toMatchObject({ created: false });
  expect(await refused(ada.initFederation({ name: 'lab' }))).toMatchObject({ code: 'ALREADY_EXISTS' });
  expect((await ada.listFederations({})).federations.map(({ name }) => name)).toEqual(['lab', 'main']);

  const inLab = { federation: 'lab' };
  expect(await refused(hive.as('swarm:rat', inLab).registerSwarm({ name: 'rat' }))).toMatchObject({
    code: 'PERMISSION_DENIED',
    reason: 'JOIN_POLICY',
  });
  await hive.as('operator:ada', inLab).registerSwarm({ name: 'rat' });
  expect((await hive.as('').listSwarms({})).swarms.map(({ name }) => name)).not.toContain('rat');
  expect(await hive.as('').getFederation({ name: 'lab' })).toMatchObject({ healthy: 1 });

  await ada.updateFederation({ ...lab, joinPolicy: 'JOIN_POLICY_OPEN' });
  await until(() =>
    hive
      .as('swarm:mouse', inLab)
      .registerSwarm({ name: 'mouse' })
      .catch(() => undefined),
  );
  expect(await refused(hive.as('operator:ada', inLab).initFederation({ name: 'x' }))).toMatchObject({
    code: 'FAILED_PRECONDITION',
    reason: 'NOT_MAIN',
  });
});

test('a watch tells every change after a revision, and not heartbeats', async () => {
  const watched = hive.as('swarm:watched');
  const { revision } = await watched.registerSwarm({ name: 'watched' });
  const seen: WatchSwarmsResponse[] = [];
  const end = new AbortController();
  const items = hive.as('').watchSwarms({ fromRevision: revision }, { signal: end.signal });
  const watching = (async () => {
    for await (const item of items) seen.push(item);
  })().catch(() => {});
  await until(() => seen.length === 1);
  await watched.heartbeat({ swarm: 'watched' }); // the first one is a change: from now on silence means something
  await until(() => seen.length === 2);
  await watched.heartbeat({ swarm: 'watched' });
  await watched.registerSwarm({ name: 'watched', project: 'new' });
  await watched.deregisterSwarm({ name: 'watched' });
  await until(() => seen.at(-1)?.removed.length === 1);
  end.abort();
  await watching;
  expect(seen[0]).toMatchObject({ revision, changed: [], removed: [] });
  expect(seen[1]?.changed[0]).toMatchObject({ name: 'watched', monitored: true });
  expect(seen.flatMap(({ changed }) => changed.map(({ project }) => project))).toContain('new');
  expect(seen).toHaveLength(4);
});

test('discovery: a swarm announces itself, somebody asks who is there, nonsense is answered', async () => {
  const subject = 'hive.main.discovery';
  const announce = { announce: { name: 'shy', capabilities: [{ agentType: 'hermit', capacity: 1 }] } };
  const joined = await hive.request(subject, JSON.stringify(announce), 'swarm:shy');
  expect(joined.body).toMatchObject({ registered: { created: true } });
  const found = await hive.request(subject, JSON.stringify({ query: { agentType: 'hermit' } }));
  expect(found.body).toMatchObject({ swarms: { swarms: [{ name: 'shy' }], total: 1 } });

  hive.publish(subject, { announce: { name: 'silent' } }, 'swarm:silent'); // nobody waits for an answer
  await until(() =>
    hive
      .as('')
      .getSwarm({ name: 'silent' })
      .catch(() => undefined),
  );

  expect(await hive.request(subject, 'hello?')).toMatchObject({ code: '3', body: { reason: 'MALFORMED_JSON' } });
  expect(await hive.request(subject, '{}')).toMatchObject({ code: '3', body: { code: 'INVALID_ARGUMENT' } });
  const anonymous = await hive.request(subject, JSON.stringify({ announce: { name: 'anon' } }));
  expect(anonymous).toMatchObject({ code: '16', body: { code: 'UNAUTHENTICATED' } });
  hive.publish(subject, 'nonsense');
  expect((await hive.request(subject, '{"query":{}}')).code).toBe('');
});

test('clusters are stored, versioned, and their faults told all at once', async () => {
  const owner = hive.as('swarm:research');
  await owner.registerSwarm({ name: 'research' });
  const spec = {
    ...{ topology: 'mesh', queenMode: '', strategy: '', consensusThreshold: 0.66, persistentVolumes: [] },
    memory: { type: 'redis', size: '2Gi', replication: 3, persistence: true, cachePolicy: 'LRU', compression: true },
  };
  const stored = await owner.putCluster({ name: 'research', spec });
  expect(stored).toMatchObject({ created: true, cluster: { generation: '1', spec: { memory: { size: '2Gi' } } } });
  expect(await owner.putCluster({ name: 'research', spec: { ...spec, topology: 'ring' } })).toMatchObject({
    cluster: { generation: '2' },
  });
  const stale = owner.putCluster({ name: 'research', spec, expectedRevision: stored.cluster?.revision ?? '' });
  expect(await refused(stale)).toMatchObject({ code: 'ABORTED', reason: 'STALE_REVISION' });
  const bad = { ...spec, topology: 'cube', memory: { ...spec.memory, size: 'big' } };
  const error = await refused(owner.putCluster({ name: 'Research!', spec: bad }));
  expect(error).toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [{ field: 'name' }, { field: 'spec.topology', value: '"cube"' }, { field: 'spec.memory.size' }],
  });
});
