import { credentials, Metadata } from '@grpc/grpc-js';
import { jetstreamManager } from '@nats-io/jetstream';
import { createInbox } from '@nats-io/nats-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { encodeHeaders } from '../../libs/protocol/envelope.ts';
import { newKeyPair, signToken } from '../../libs/protocol/token.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  PutClusterRequest,
  RegisterSwarmRequest,
  RegistryServiceClient,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type Harness, type Replica, startHarness } from './registry-harness.ts';

/** Strangers at the registry's doors, with what no client of ours would send. */

let hive: Harness;
let replica: Replica;

beforeAll(async () => {
  hive = await startHarness();
  replica = await hive.start();
  await hive.as('swarm:code').registerSwarm({ name: 'code', project: 'mine' });
});

afterAll(() => hive[Symbol.asyncDispose]());

const grpc = () => new RegistryServiceClient(replica.grpc, credentials.createInsecure());

test('of many that ask for a free name at once one gets it, and nobody another’s answer by its request id', async () => {
  const ask = async () => {
    const subject = { kind: 'swarm', swarm: 'wanted' } as const;
    const token = signToken(newKeyPair(), { subject, federation: 'main', nowMs: Date.now() });
    const headers = rawHeaders(encodeHeaders({ authorization: `Bearer ${token}`, 'hive-request-id': 'same:1' }));
    const body = JSON.stringify({ name: 'wanted' });
    const answer = await hive.nc.request('hive.main.rpc.registry.RegisterSwarm', body, { headers, timeout: 10_000 });
    return answer.json<{ created?: boolean; code?: string }>();
  };
  const answers = await Promise.all(Array.from({ length: 100 }, ask));
  expect(answers.filter(({ created }) => created)).toHaveLength(1);
  expect(answers.filter(({ code }) => code === 'PERMISSION_DENIED')).toHaveLength(99);
});

test('an answer goes to no subject that means something to the server or to us', async () => {
  const streams = (await jetstreamManager(hive.nc)).streams;
  const before = (await streams.info('HIVE_main_registry')).state;
  const headers = rawHeaders(encodeHeaders({ 'hive-timeout-ms': '1' })); // ends at once, with an empty message
  const own = createInbox();
  const got: string[] = [];
  hive.nc.subscribe(own, { callback: (_, message) => void got.push(message.subject) });
  for (const reply of ['$JS.API.STREAM.PURGE.HIVE_main_registry', 'hive.main.journal.registry', own]) {
    hive.nc.publish('hive.main.rpc.registry.WatchSwarms', '{}', { reply, headers });
    hive.nc.publish('hive.main.rpc.registry.ListSwarms', '{}', { reply });
    hive.nc.publish('hive.main.discovery', '{"query":{}}', { reply });
  }
  await until(() => got.length >= 3);
  const after = (await streams.info('HIVE_main_registry')).state;
  expect([after.messages, after.last_seq]).toEqual([before.messages, before.last_seq]);
});

test('what protobuf takes and JSON does not is refused over gRPC too', async () => {
  const client = grpc();
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${hive.tokenOf('swarm:code')}`);
  const put = (consensusThreshold: number, topologyRatios: Record<string, number>) =>
    new Promise<string>((resolve) => {
      const request = PutClusterRequest.fromJSON({ name: 'code', spec: { consensusThreshold, autoscaling: {} } });
      const autoscaling = request.spec?.autoscaling;
      if (autoscaling) autoscaling.topologyRatios = topologyRatios;
      client.putCluster(request, metadata, (error) => resolve(error?.details ?? ''));
    });
  expect(await put(0, JSON.parse('{"__proto__":100}'))).toContain('"__proto__" must not be a key');
  expect(await put(Number.NaN, {})).toContain('spec.consensusThreshold: "NaN" must be 0 to 1');
  client.close();
});

test('names with half a character in them are refused, and the server goes on', async () => {
  const client = grpc();
  const details = await new Promise<string>((resolve) => {
    const request = RegisterSwarmRequest.fromJSON({ name: `${'a'.repeat(75)}😀😀`, region: '\ud83d' });
    client.registerSwarm(request, (error) => resolve(error?.details ?? ''));
  });
  expect(details).toContain('must match');
  client.close();
  expect((await hive.as('').getSwarm({ name: 'code' })).swarm?.project).toBe('mine');
});

test('a watch from a revision that never was is refused', async () => {
  const watch = async () => {
    for await (const _ of hive.as('').watchSwarms({ fromRevision: '999999' })) throw new Error('it began');
  };
  expect(await refused(watch())).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'FUTURE_REVISION' });
});
