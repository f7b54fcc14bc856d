import { afterAll, beforeAll, expect, test } from 'vitest';
import { newKeyPair, signToken } from '../../libs/protocol/token.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type Harness, type Replica, startHarness } from './registry-harness.ts';

let hive: Harness;
let replica: Replica;

beforeAll(async () => {
  hive = await startHarness();
  replica = await hive.start();
  await hive.as('swarm:code').registerSwarm({ name: 'code', project: 'mine' });
});

afterAll(() => hive[Symbol.asyncDispose]());

const withToken = (token: string) =>
  createBusClient(hive.nc, 'registry', RegistryServiceService, { federation: 'main', token: () => token });

const projectOfCode = async () => (await hive.as('').getSwarm({ name: 'code', linearizable: true })).swarm?.project;

test('every fault of a registration is told at once, by field, value and rule', async () => {
  const error = await refused(
    hive.as('swarm:bad').registerSwarm({
      name: 'Bad_Name',
      region: 'EU West',
      queenEndpoint: 'nowhere',
      tags: ['ok', 'ok', 'NOT'],
      publicKey: 'short',
      capabilities: [
        { agentType: 'coder', capacity: 0, specializations: [''], skills: [] },
        { agentType: 'coder', capacity: 1, specializations: [], skills: [] },
      ],
    }),
  );
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', retryable: false });
  const { violations = [] } = error;
  expect(violations.map(({ field }) => field)).toEqual([
    'name',
    'queenEndpoint',
    'region',
    'tags[2]',
    'tags',
    'publicKey',
    'capabilities[0].capacity',
    'capabilities[0].specializations[0]',
    'capabilities',
  ]);
  expect(violations[0]).toEqual({
    field: 'name',
    value: '"Bad_Name"',
    rule: 'must match [a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?',
  });
});

test('malformed JSON, unknown fields and wrong types are named', async () => {
  const subject = 'hive.main.rpc.registry.RegisterSwarm';
  expect(await hive.request(subject, '{"name":', 'swarm:code')).toMatchObject({
    code: '3',
    body: { reason: 'MALFORMED_JSON' },
  });
  expect(await hive.request(subject, '{"nam":"code","tags":7}', 'swarm:code')).toMatchObject({
    body: { code: 'INVALID_ARGUMENT', violations: [{ field: 'nam' }, { field: 'tags', rule: 'must be a list' }] },
  });
});

test('who and what is not known is named', async () => {
  const nobody = hive.as('');
  expect(await refused(nobody.getSwarm({ name: 'ghost' }))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(nobody.compareSwarms({ left: 'code', right: 'ghost' }))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(nobody.getCluster({ name: 'ghost' }))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(nobody.getFederation({ name: 'ghost' }))).toMatchObject({ code: 'NOT_FOUND' });
  const elsewhere = hive.as('swarm:code', { federation: 'ghost' }).registerSwarm({ name: 'code' });
  expect(await refused(elsewhere)).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(hive.as('operator:ada').heartbeat({ swarm: 'ghost' }))).toMatchObject({ code: 'NOT_FOUND' });
});

test('no token, a forged one, an expired one, one for another federation: UNAUTHENTICATED, and nothing is changed', async () => {
  const register = { name: 'code', project: 'stolen' };
  const owner = hive.keys.get('swarm:code') ?? newKeyPair();
  const subject = { kind: 'swarm', swarm: 'code' } as const;
  const now = Date.now();
  const valid = signToken(owner, { subject, federation: 'main', nowMs: now });
  const tokens: Record<string, string> = {
    none: '',
    forged: `${valid.slice(0, -8)}AAAAAAAA`,
    expired: signToken(owner, { subject, federation: 'main', nowMs: now - 3_600_000 }),
    'for another federation': signToken(owner, { subject, federation: 'lab', nowMs: now }),
    'of an operator that is not known': signToken(newKeyPair(), {
      subject: { kind: 'operator', name: 'eve' },
      federation: 'main',
      nowMs: now,
    }),
  };
  for (const [what, token] of Object.entries(tokens)) {
    const error = await refused(withToken(token).registerSwarm(register));
    expect([what, error]).toMatchObject([what, { code: 'UNAUTHENTICATED' }]);
  }
  expect(await projectOfCode()).toBe('mine');
});

test('another key, another swarm and an agent do not change a swarm', async () => {
  const other = hive.as('swarm:code', { key: 'thief' });
  const error = await refused(other.registerSwarm({ name: 'code', project: 'stolen' }));
  expect((error as { code: string }).code).toBe('PERMISSION_DENIED');
  expect(String(error)).toContain('code');
  await hive.as('swarm:other').registerSwarm({ name: 'other' });
  for (const who of ['swarm:other', 'agent:code/a1']) {
    const client = hive.as(who);
    for (const call of [
      () => client.registerSwarm({ name: 'code', project: 'stolen' }),
      () => client.deregisterSwarm({ name: 'code' }),
      () => client.heartbeat({ swarm: 'code' }),
    ]) {
      expect(await refused(call())).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NOT_OWNER' });
    }
  }
  expect(await projectOfCode()).toBe('mine');
});

test('a stale revision is refused with both', async () => {
  const error = await refused(
    hive.as('swarm:code').registerSwarm({ name: 'code', project: 'x', expectedRevision: '99999' }),
  );
  expect(error).toMatchObject({ code: 'ABORTED', reason: 'STALE_REVISION' });
  expect(String(error)).toMatch(/at revision \d+, expected was revision 99999/);
});

test('too many hops are refused', async () => {
  const client = createBusClient(hive.nc, 'registry', RegistryServiceService, {
    federation: 'main',
    trace: () => ({ traceparent: '', correlationId: 'loop', hops: 16 }),
  });
  expect(await refused(client.listSwarms({}))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'TOO_MANY_HOPS' });
});

test('an oversized request is refused before it is sent', async () => {
  const call = hive.as('swarm:code').registerSwarm({ name: 'code', project: 'x'.repeat(3_000_000) });
  expect(await refused(call)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('the same methods and the same errors over gRPC, and heartbeats as a stream', async () => {
  const token = () => hive.tokenOf('swarm:code');
  const grpc = createGrpcClient(replica.grpc, RegistryServiceService, { federation: 'main', token });
  expect((await grpc.getSwarm({ name: 'code' })).swarm?.project).toBe('mine');
  expect(await refused(grpc.getSwarm({ name: 'ghost' }))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await refused(grpc.registerSwarm({ name: 'NO' }))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [{ field: 'name', value: '"NO"' }],
  });
  const one = { swarm: 'code', load: undefined };
  async function* beats() {
    for (let i = 0; i < 5; i++) yield { swarm: 'code' };
    yield { items: [one, one] };
    yield { swarm: 'code', items: [one] };
  }
  expect(await grpc.streamHeartbeats(beats())).toMatchObject({ accepted: '9' });
  async function* tooMany() {
    yield { items: Array.from({ length: 1001 }, () => one) };
  }
  expect(await refused(grpc.streamHeartbeats(tooMany()))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    violations: [{ field: 'items', value: '1001' }],
  });
});
