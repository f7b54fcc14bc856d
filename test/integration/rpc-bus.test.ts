import { Svcm } from '@nats-io/services';
import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse, ListSwarmsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { ask, busClient, clientSide, openBus, serveOnBus, watchAnswer } from './rpc-harness.ts';

/** What a call over the bus carries in both directions, and the typed errors that it is refused with. */

openBus();

test('a call arrives with who, where from and its request id; the answer has its defaults', async () => {
  const calls: Call[] = [];
  await using _ = await serveOnBus({
    getSwarm: async ({ name }, call) => {
      calls.push(call);
      return GetSwarmResponse.fromJSON({ swarm: { name }, revision: '7' });
    },
  });
  const trace = { traceparent: '', correlationId: 'job-1', hops: 2 };
  const answer = await busClient({ trace: () => trace, clientId: 'cli' }).getSwarm({ name: 'code' });
  expect(answer).toEqual(GetSwarmResponse.fromJSON({ swarm: { name: 'code' }, revision: '7' }));
  expect(calls[0]).toMatchObject({
    federation: 'main',
    principal: { kind: 'operator', name: 'ada' },
    trace: { correlationId: 'job-1', hops: 3 },
    request: { client: expect.stringMatching(/^cli-[a-z0-9]{12}-1@[-\w]{22}$/), counter: 1 },
  });
});

test('works by hand, and says what it is in CloudEvents headers', async () => {
  await using _ = await serveOnBus({ listSwarms: async () => ListSwarmsResponse.fromJSON({ total: 3 }) });
  const { json, headers } = await ask('ListSwarms', '', { 'hive-correlation-id': 'by-hand' });
  expect(json).toMatchObject({ total: 3, swarms: [] });
  expect(Object.fromEntries(headers)).toMatchObject({
    'ce-type': 'hivebus.registry.v1.ListSwarmsResponse',
    'ce-source': '/hivebus/registry',
    'content-type': 'application/json',
    'hive-correlation-id': 'by-hand',
  });
});

test('a refusal has the trace and correlation that it came with, or a new correlation', async () => {
  await using _ = await serveOnBus({});
  const lone = await ask('ListSwarms', '{"pageSiz": 2}');
  expect(lone.json).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(lone.headers.get('hive-correlation-id')).toMatch(/^[0-9a-z]{16}$/);
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  const given = await ask('ListSwarms', '{"pageSiz": 2}', { traceparent, 'hive-correlation-id': 'by-hand' });
  expect(Object.fromEntries(given.headers)).toMatchObject({ traceparent, 'hive-correlation-id': 'by-hand' });
});

test('is discoverable as a NATS micro service', async () => {
  await using _ = await serveOnBus({});
  const services = await new Svcm(clientSide).client({ strategy: 'stall', maxWait: 2000 }).info('hivebus-registry');
  for await (const info of services) {
    expect(info).toMatchObject({ name: 'hivebus-registry', version: '1.2.3' });
    expect(info.endpoints).toContainEqual({
      name: 'ListSwarms',
      subject: 'hive.*.rpc.registry.ListSwarms',
      queue_group: 'hivebus-registry',
      metadata: expect.objectContaining({ request: 'hivebus.registry.v1.ListSwarmsRequest', kind: 'unary' }),
    });
    return;
  }
  throw new Error('no service answered');
});

test.each([
  ['malformed JSON', 'ListSwarms', '{"page', {}, 'INVALID_ARGUMENT', 'must be the JSON of a hivebus.registry'],
  ['unknown field', 'ListSwarms', '{"pageSise":1}', {}, 'INVALID_ARGUMENT', 'did you mean pageSize?'],
  ['bad header', 'ListSwarms', '{}', { 'hive-hops': 'x' }, 'INVALID_ARGUMENT', 'header hive-hops: "x"'],
  ['too many hops', 'ListSwarms', '{}', { 'hive-hops': '17' }, 'FAILED_PRECONDITION', '17 hops'],
  ['bad token', 'ListSwarms', '{}', { authorization: 'Bearer a.b.c' }, 'UNAUTHENTICATED', 'not a valid JWT'],
  ['stream of requests', 'StreamHeartbeats', '{}', {}, 'UNIMPLEMENTED', 'use gRPC'],
  ['not implemented', 'DeleteCluster', '{}', {}, 'UNIMPLEMENTED', 'deleteCluster'],
  ['defect', 'GetSwarm', '{"name":"boom"}', {}, 'INTERNAL', 'unexpected: boom\nbang'],
  ['answer too large', 'GetSwarm', '{"name":"huge"}', {}, 'RESOURCE_EXHAUSTED', 'the bus carries 1048576'],
  ['answer that is no JSON', 'GetSwarm', '{"name":"odd"}', {}, 'INTERNAL', 'BigInt'],
])('answered by a typed error: %s', async (_name, method, payload, headers, code, text) => {
  await using _ = await serveOnBus({
    getSwarm: async ({ name }) => {
      if (name === 'huge') return GetSwarmResponse.fromJSON({ swarm: { name: 'x'.repeat(1 << 20) } });
      if (name === 'odd') return { swarm: undefined, revision: 1n as never };
      throw new Error('boom\nbang');
    },
  });
  const answer = await ask(method, payload, headers);
  expect(answer.json).toMatchObject({ code, message: expect.stringContaining(text), retryable: false });
  expect(answer.headers.get('nats-service-error-code')).toMatch(/^\d+$/);
  expect(answer.headers.get('nats-service-error')).toContain(text.replace('\n', ' '));
});

test('an unknown federation is NOT_FOUND', async () => {
  await using _ = await serveOnBus({});
  expect((await ask('ListSwarms', '{}', {}, 'nowhere')).json).toMatchObject({ code: 'NOT_FOUND' });
  expect((await refused(busClient({ federation: 'nowhere' }).listSwarms({}))).message).toContain('"nowhere"');
});

test('an error comes back whole, also one whose faults would not fit', async () => {
  const violations = Array.from({ length: 5000 }, (_, i) => ({ field: `f${i}`.repeat(100), value: '1', rule: 'no' }));
  const options = { reason: 'BAD', retryAfterMs: 5, violations };
  await using _ = await serveOnBus({
    getSwarm: async () => {
      throw new HiveError('INVALID_ARGUMENT', `nö\r\n${'x'.repeat(2 << 20)}`, options);
    },
  });
  const error = await refused(busClient().getSwarm({}));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD', retryAfterMs: 5, retryable: false });
  expect(error.message).toMatch(/^nö\r\nx+\.\.\.$/);
  expect(error.violations).toHaveLength(64);
});

test('a request larger than the bus carries is refused before it is sent', async () => {
  const error = await refused(busClient().getSwarm({ name: 'x'.repeat(2 << 20) }));
  expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('2097') });
});

test.each([Number.NaN, -1, Number.POSITIVE_INFINITY])('%d is no time', async (ms) => {
  const fault = {
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(`Ms: ${ms} must be a number of milliseconds`),
  };
  expect(await refused(busClient().getSwarm({}, { timeoutMs: ms }))).toMatchObject(fault);
  const watch = busClient().watchSwarms({}, { timeoutMs: ms })[Symbol.asyncIterator]();
  expect(await refused(watch.next())).toMatchObject(fault);
  expect(() => busClient({ patienceMs: ms })).toThrow(expect.objectContaining(fault));
});

test('a request larger than the server takes is refused', async () => {
  await using _ = await serveOnBus({}, { maxRequestBytes: 100 });
  expect(await refused(busClient().getSwarm({ name: 'x'.repeat(100) }))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('calls are observed on both sides', async () => {
  const seen: string[] = [];
  const observe = <T>(info: { side: string; method: string }, run: () => Promise<T>) => {
    seen.push(`${info.side} ${info.method}`);
    return run().finally(() => seen.push(`${info.side} ${info.method} done`));
  };
  await using _ = await serveOnBus(
    {
      getSwarm: async () => GetSwarmResponse.fromJSON({}),
      async *watchSwarms() {
        yield watchAnswer(1);
      },
    },
    { observe },
  );
  const client = busClient({ observe });
  await client.getSwarm({});
  for await (const _ of client.watchSwarms({}));
  await until(() => seen.length === 8);
  expect(seen.slice(0, 4)).toEqual([
    'client GetSwarm',
    'server GetSwarm',
    'server GetSwarm done',
    'client GetSwarm done',
  ]);
  expect([...seen.slice(4)].sort()).toEqual([
    'client WatchSwarms',
    'client WatchSwarms done',
    'server WatchSwarms',
    'server WatchSwarms done',
  ]);
});
