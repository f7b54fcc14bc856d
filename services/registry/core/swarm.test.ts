import { expect, test } from 'vitest';
import { ANONYMOUS } from '../../../libs/protocol/principal.ts';
import {
  capability,
  filter,
  keyOf,
  OPERATOR,
  queen,
  refusal,
  registration,
  SERVICE,
  START,
  search,
  testRegistry,
} from './fixtures.ts';

test('the first registration binds the name to the key of the token', () => {
  const registry = testRegistry();
  const reply = registry.join('code', { project: 'p', capabilities: [capability('coder', 3)] });
  expect(reply).toMatchObject({ created: true, changed: true, swarmRevision: '1', revision: '1' });
  const { swarm } = registry.query('getSwarm', { name: 'code' });
  expect(swarm).toMatchObject({
    name: 'code',
    project: 'p',
    publicKey: keyOf('code').publicKey,
    liveness: 'LIVENESS_HEALTHY',
    monitored: false,
    revision: '1',
    registeredAt: new Date(START).toISOString(),
  });
  expect(registry.events.map(({ event, key }) => [event.type, key])).toEqual([['swarm.registered', 'code']]);
});

test('a registration without any change is no event and keeps the revision', () => {
  const registry = testRegistry();
  registry.join('code', { tags: ['a'], capabilities: [capability('coder', 3, { skills: ['lint'] })] });
  const again = registry.join('code', { tags: ['a'], capabilities: [capability('coder', 3, { skills: ['lint'] })] });
  expect(again).toMatchObject({ created: false, changed: false, swarmRevision: '1', revision: '2' });
  expect(registry.events).toHaveLength(1);
  expect(registry.join('code', { tags: ['b'] })).toMatchObject({ changed: true, swarmRevision: '3' });
});

test('only the owning key and operators change a swarm; the refusal names both', () => {
  const registry = testRegistry();
  registry.join('code');
  const thief = queen('code', 'thief');
  for (const run of [
    () => registry.execute('registerSwarm', registration('code', { project: 'x' }), { principal: thief }),
    () => registry.execute('deregisterSwarm', { name: 'code', expectedRevision: '0' }, { principal: thief }),
  ]) {
    const error = refusal(run);
    expect(error).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NOT_OWNER' });
    expect(String(error)).toContain(keyOf('code').kid);
    expect(String(error)).toContain(`swarm:code (key ${keyOf('thief').kid})`);
  }
  const agent = { kind: 'agent', swarm: 'code', name: 'a1', key: keyOf('code').kid } as const;
  expect(refusal(() => registry.execute('registerSwarm', registration('code'), { principal: agent }))).toMatchObject({
    code: 'PERMISSION_DENIED',
  });
  registry.execute('registerSwarm', registration('code', { project: 'x' }), { principal: OPERATOR });
  registry.execute('deregisterSwarm', { name: 'code', expectedRevision: '0' }, { principal: queen('code') });
  expect(registry.state.swarms.size).toBe(0);
  expect(registry.events.at(-1)?.event.data).toEqual({
    name: 'code',
    reason: 'REMOVAL_REASON_REQUESTED',
    by: 'swarm:code',
  });
});

test('without a token nothing is changed', () => {
  const registry = testRegistry();
  registry.join('code');
  for (const name of ['code', 'new']) {
    const run = () => registry.execute('registerSwarm', registration(name), { principal: ANONYMOUS });
    expect(refusal(run)).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' });
  }
  const leave = () =>
    registry.execute('deregisterSwarm', { name: 'nobody', expectedRevision: '0' }, { principal: ANONYMOUS });
  expect(refusal(leave)).toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('a swarm registers itself and no other, with a token that carries its key', () => {
  const registry = testRegistry();
  const other = () => registry.execute('registerSwarm', registration('other'), { principal: queen('code') });
  expect(refusal(other)).toMatchObject({ code: 'PERMISSION_DENIED' });
  const keyless = { kind: 'swarm', swarm: 'code', key: keyOf('code').kid } as const;
  const run = () => registry.execute('registerSwarm', registration('code'), { principal: keyless });
  expect(refusal(run)).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_WITHOUT_KEY' });
});

test('an operator gives a name to a key, or keeps it for operators', () => {
  const registry = testRegistry();
  const mine = registration('mine', { publicKey: keyOf('mine').publicKey });
  registry.execute('registerSwarm', mine, { principal: OPERATOR });
  expect(registry.join('mine', { project: 'p' })).toMatchObject({ created: false, changed: true });

  registry.execute('registerSwarm', registration('kept'), { principal: OPERATOR });
  expect(refusal(() => registry.join('kept'))).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NOT_OWNER' });
  const handOver = registration('kept', { publicKey: keyOf('kept').publicKey });
  registry.execute('registerSwarm', handOver, { principal: OPERATOR });
  expect(registry.join('kept', { project: 'p' })).toMatchObject({ changed: true });
});

test('an owner changes its key, and the old one is no owner any more', () => {
  const registry = testRegistry();
  registry.join('code');
  const stolen = () => registry.join('new', { publicKey: keyOf('code').publicKey });
  expect(refusal(stolen)).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'OTHER_KEY' });
  registry.join('code', { publicKey: keyOf('next').publicKey });
  expect(refusal(() => registry.join('code', { project: 'p' }))).toMatchObject({ code: 'PERMISSION_DENIED' });
  const next = { principal: queen('code', 'next') };
  expect(registry.execute('registerSwarm', registration('code', { project: 'p' }), next).changed).toBe(true);
});

test('under the policy OPERATOR only operators let new swarms in', () => {
  const registry = testRegistry();
  const settings = { name: 'main', description: '', joinPolicy: 'JOIN_POLICY_OPERATOR', removeAfterMs: 0 } as const;
  registry.execute('initFederation', settings, { principal: OPERATOR });
  const error = refusal(() => registry.join('code'));
  expect(error).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'JOIN_POLICY' });
  expect(String(error)).toContain(keyOf('code').publicKey);
  const invited = registration('code', { publicKey: keyOf('code').publicKey });
  registry.execute('registerSwarm', invited, { principal: OPERATOR });
  expect(registry.join('code', { project: 'p' }).changed).toBe(true);
});

test('a federation without settings lets nobody in yet', () => {
  const lab = testRegistry('lab');
  expect(refusal(() => lab.join('code'))).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  const settings = { name: 'lab', description: '', joinPolicy: 'JOIN_POLICY_OPEN', removeAfterMs: 0 } as const;
  lab.execute('adoptFederation', settings, { principal: SERVICE });
  expect(lab.join('code').created).toBe(true);
});

test('a stale revision is refused with both revisions, and nothing is changed', () => {
  const registry = testRegistry();
  registry.join('code');
  registry.join('code', { project: 'p' });
  const error = refusal(() => registry.join('code', { project: 'q', expectedRevision: '1' }));
  expect(error).toMatchObject({ code: 'ABORTED', reason: 'STALE_REVISION', retryable: false });
  expect(String(error)).toMatch(/revision 2.*revision 1/);
  expect(registry.query('getSwarm', { name: 'code' }).swarm?.project).toBe('p');
  expect(registry.join('code', { project: 'q', expectedRevision: '2' }).changed).toBe(true);
  expect(refusal(() => registry.join('new', { expectedRevision: '7' }))).toMatchObject({ code: 'ABORTED' });
});

test('what is not registered is NOT_FOUND', () => {
  const registry = testRegistry();
  expect(refusal(() => registry.query('getSwarm', { name: 'nobody' }))).toMatchObject({ code: 'NOT_FOUND' });
  const leave = () => registry.execute('deregisterSwarm', { name: 'nobody', expectedRevision: '0' });
  expect(refusal(leave)).toMatchObject({ code: 'NOT_FOUND' });
});

test('pages follow the names, and filters hold together', () => {
  const registry = testRegistry();
  for (let i = 0; i < 25; i++) {
    const name = `s${String(i).padStart(2, '0')}`;
    const capabilities = [capability(i % 2 === 0 ? 'coder' : 'tester')];
    registry.join(name, { capabilities, tags: i % 3 === 0 ? ['x', 'y'] : ['y'], region: i < 10 ? 'eu' : 'us' });
  }
  const names: string[] = [];
  let pageToken = '';
  do {
    const page = registry.query('listSwarms', filter({ pageSize: 10, pageToken }));
    expect(page.total).toBe(25);
    names.push(...page.swarms.map((swarm) => swarm.name));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(names).toEqual([...names].sort());
  expect(names).toHaveLength(25);
  const some = registry.query('listSwarms', filter({ agentType: 'coder', region: 'eu', tags: ['x', 'y'] }));
  expect(some.swarms.map((swarm) => swarm.name)).toEqual(['s00', 's06']);
  expect(some.total).toBe(2);
  const none = registry.query('listSwarms', filter({ liveness: ['LIVENESS_SUSPECT'] }));
  expect(none).toMatchObject({ swarms: [], total: 0, nextPageToken: '' });
});

test('a page ends when its message is full, whatever anybody has registered', () => {
  const registry = testRegistry();
  const long = (kind: string) => Array.from({ length: 32 }, (_, i) => `${kind}${'x'.repeat(50)}${i}`);
  const offered = Array.from({ length: 64 }, (_, i) =>
    capability(`t${i}`, 1, { skills: long('k'), specializations: long('s') }),
  );
  const names = ['fat-1', 'fat-2', 'fat-3', 'fat-4', 'fat-5'];
  for (const name of names) registry.join(name, { capabilities: offered });
  const found: string[] = [];
  let pageToken = '';
  do {
    const page = registry.query('listSwarms', filter({ pageSize: 1000, pageToken }));
    expect(JSON.stringify(page).length).toBeLessThan(1_000_000);
    found.push(...page.swarms.map(({ name }) => name));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  expect(found).toEqual(names);
  const best = registry.query('findSwarms', search('t1', { limit: 10 }));
  expect(JSON.stringify(best).length).toBeLessThan(1_000_000);
  expect(best.candidates).toBe(5);
});

test('the names of a federation are bounded; who is there already may still change', () => {
  const registry = testRegistry();
  registry.join('s0');
  // By an operator: ten thousand keys would take most of the time.
  const join = (i: number) => registry.execute('registerSwarm', registration(`s${i}`), { principal: OPERATOR });
  for (let i = 1; i < 10_000; i++) join(i);
  expect(refusal(() => registry.join('one-more'))).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_SWARMS',
  });
  expect(registry.join('s0', { project: 'p' })).toMatchObject({ changed: true });
});
