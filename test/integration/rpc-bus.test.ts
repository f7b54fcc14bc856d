import type { NatsConnection } from '@nats-io/nats-core';
import { Svcm } from '@nats-io/services';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { headerBytes } from '../../libs/bus/message.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError, notFound } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { decodeHeaders, encodeHeaders } from '../../libs/protocol/envelope.ts';
import { newKeyPair, tokenSource } from '../../libs/protocol/token.ts';
import type { Api } from '../../libs/rpc/api.ts';
import { createAuthenticator } from '../../libs/rpc/authenticate.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { type BusClientOptions, createBusClient } from '../../libs/rpc/bus-client.ts';
import { type BusServerOptions, serveBus } from '../../libs/rpc/bus-server.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  GetSwarmResponse,
  ListSwarmsResponse,
  RegistryServiceService,
  WatchSwarmsResponse,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';

type Registry = Api<RegistryServiceService>;

const ada = newKeyPair();
const authenticate = createAuthenticator(
  {
    operatorKey: (kid) => (kid === ada.kid ? { name: 'ada', publicKey: ada.publicKey } : undefined),
    swarmKey: () => undefined,
  },
  systemClock,
);
const token = tokenSource(ada, { kind: 'operator', name: 'ada' }, 'main', Date.now);
const watchAnswer = (revision: number) => WatchSwarmsResponse.fromJSON({ revision: String(revision) });

let server: NatsServer;
let serverSide: NatsConnection;
let clientSide: NatsConnection;

beforeAll(async () => {
  server = await startNatsServer();
  serverSide = await connectBus({ servers: server.url, name: 'server' });
  clientSide = await connectBus({ servers: server.url, name: 'client', jetStream: false });
});
afterAll(async () => {
  await serverSide?.close();
  await clientSide?.close();
  await server?.stop();
});

async function serve(api: Partial<Registry>, options: Partial<BusServerOptions> = {}) {
  const apiOf = (federation: string) => {
    if (federation !== 'main') throw notFound('federation', federation);
    return api as Registry;
  };
  const bindings = [bind('registry', RegistryServiceService, apiOf)];
  return serveBus({ nc: serverSide, bindings, authenticate, version: '1.2.3', ...options });
}

const clientOf = (options: Partial<BusClientOptions> = {}) =>
  createBusClient(clientSide, 'registry', RegistryServiceService, { federation: 'main', token, ...options });

async function refused(promise: Promise<unknown>): Promise<HiveError> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof HiveError) return error;
  throw new Error(`expected a HiveError, got ${error}`);
}

/** A request by hand, as from the command line. */
async function ask(method: string, payload: string, headers: Record<string, string> = {}, federation = 'main') {
  const subject = `hive.${federation}.rpc.registry.${method}`;
  const answer = await clientSide.request(subject, payload, {
    timeout: 5000,
    headers: rawHeaders(encodeHeaders(headers)),
  });
  return { json: answer.json<Record<string, unknown>>(), headers: decodeHeaders(headerBytes(answer), true) };
}

test('a call arrives with who, where from and its request id; the answer has its defaults', async () => {
  const calls: Call[] = [];
  await using _ = await serve({
    getSwarm: async ({ name }, call) => {
      calls.push(call);
      return GetSwarmResponse.fromJSON({ swarm: { name }, revision: '7' });
    },
  });
  const trace = { traceparent: '', correlationId: 'job-1', hops: 2 };
  const answer = await clientOf({ trace: () => trace, clientId: 'cli' }).getSwarm({ name: 'code' });
  expect(answer).toEqual(GetSwarmResponse.fromJSON({ swarm: { name: 'code' }, revision: '7' }));
  expect(calls[0]).toMatchObject({
    federation: 'main',
    principal: { kind: 'operator', name: 'ada' },
    trace: { correlationId: 'job-1', hops: 3 },
    request: { client: expect.stringMatching(/^cli-[a-z0-9]{12}-1@[-\w]{22}$/), counter: 1 },
  });
});

test('works by hand, and says what it is in CloudEvents headers', async () => {
  await using _ = await serve({ listSwarms: async () => ListSwarmsResponse.fromJSON({ total: 3 }) });
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
  await using _ = await serve({});
  const lone = await ask('ListSwarms', '{"pageSiz": 2}');
  expect(lone.json).toMatchObject({ code: 'INVALID_ARGUMENT' });
  expect(lone.headers.get('hive-correlation-id')).toMatch(/^[0-9a-z]{16}$/);
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  const given = await ask('ListSwarms', '{"pageSiz": 2}', { traceparent, 'hive-correlation-id': 'by-hand' });
  expect(Object.fromEntries(given.headers)).toMatchObject({ traceparent, 'hive-correlation-id': 'by-hand' });
});

test('is discoverable as a NATS micro service', async () => {
  await using _ = await serve({});
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
  await using _ = await serve({
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
  await using _ = await serve({});
  expect((await ask('ListSwarms', '{}', {}, 'nowhere')).json).toMatchObject({ code: 'NOT_FOUND' });
  expect((await refused(clientOf({ federation: 'nowhere' }).listSwarms({}))).message).toContain('"nowhere"');
});

test('an error comes back whole, also one whose faults would not fit', async () => {
  const violations = Array.from({ length: 5000 }, (_, i) => ({ field: `f${i}`.repeat(100), value: '1', rule: 'no' }));
  const options = { reason: 'BAD', retryAfterMs: 5, violations };
  await using _ = await serve({
    getSwarm: async () => {
      throw new HiveError('INVALID_ARGUMENT', `nö\r\n${'x'.repeat(2 << 20)}`, options);
    },
  });
  const error = await refused(clientOf().getSwarm({}));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD', retryAfterMs: 5, retryable: false });
  expect(error.message).toMatch(/^nö\r\nx+\.\.\.$/);
  expect(error.violations).toHaveLength(64);
});

test('a request larger than the bus carries is refused before it is sent', async () => {
  const error = await refused(clientOf().getSwarm({ name: 'x'.repeat(2 << 20) }));
  expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('2097') });
});

test('a request larger than the server takes is refused', async () => {
  await using _ = await serve({}, { maxRequestBytes: 100 });
  expect(await refused(clientOf().getSwarm({ name: 'x'.repeat(100) }))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('nobody there is said clearly', async () => {
  const error = await refused(clientOf({ patienceMs: 0 }).listSwarms({}));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_RESPONDERS' });
  expect(error.message).toContain('nothing serves registry on this bus');
});

test('a closed connection is told as such', async () => {
  const closed = await connectBus({ servers: server.url, name: 'closed', jetStream: false });
  await closed.close();
  const client = createBusClient(closed, 'registry', RegistryServiceService, { federation: 'main' });
  expect(await refused(client.getSwarm({}))).toMatchObject({ code: 'UNAVAILABLE', reason: 'BUS_CLOSED' });
  const stream = client.watchSwarms({})[Symbol.asyncIterator]();
  expect(await refused(stream.next())).toMatchObject({ code: 'UNAVAILABLE', reason: 'BUS_CLOSED' });
});

test('a service that comes within the patience is found', async () => {
  const answer = clientOf({ patienceMs: 20_000 }).listSwarms({}, { timeoutMs: 20_000 });
  await using _ = await serve({ listSwarms: async () => ListSwarmsResponse.fromJSON({ total: 1 }) });
  expect((await answer).total).toBe(1);
});

test('what may pass is tried again under the same request id, what may not is not', async () => {
  const seen: unknown[] = [];
  await using _ = await serve({
    getSwarm: async ({ name }, call) => {
      seen.push(call.request);
      if (name === 'never') throw new HiveError('ABORTED', 'no');
      if (seen.length < 4) throw new HiveError('UNAVAILABLE', 'later');
      return GetSwarmResponse.fromJSON({});
    },
  });
  const client = clientOf({ rng: () => 0 });
  await client.getSwarm({ name: 'soon' });
  expect(seen).toHaveLength(4);
  expect(new Set(seen.map((id) => JSON.stringify(id))).size).toBe(1);
  await refused(client.getSwarm({ name: 'never' }));
  expect(seen).toHaveLength(5);
});

test('what one replica does not answer is asked of all, and the first answer counts', async () => {
  const silent = () => new Promise<GetSwarmResponse>(() => {});
  await using _one = await serve({ getSwarm: silent });
  await using _other = await serve({ getSwarm: async () => GetSwarmResponse.fromJSON({ revision: '7' }) });
  const client = clientOf({ attemptMs: 20 });
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.getSwarm({ name: 'a' })));
  expect(answers.map(({ revision }) => revision)).toEqual(Array(20).fill('7'));
});

test('a repeat of what is being done is not done again', async () => {
  const waiting: (() => void)[] = [];
  let heard = 0;
  await using _ = await serve({
    getSwarm: () => new Promise((resolve) => waiting.push(() => resolve(GetSwarmResponse.fromJSON({ revision: '3' })))),
  });
  serverSide.subscribe('_HIVE.*.rpc.registry.GetSwarm', { callback: () => void heard++ });
  const answer = clientOf({ attemptMs: 20 }).getSwarm({ name: 'a' });
  await until(() => heard >= 2);
  expect(waiting.length).toBe(1);
  waiting[0]?.();
  expect((await answer).revision).toBe('3');
});

test('the deadline ends a call on both sides', async () => {
  const aborted: unknown[] = [];
  await using _ = await serve({
    getSwarm: (_, { signal }) =>
      new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason.code))),
  });
  // On a busy machine a call may be too late before it has reached the method: then another is made.
  await until(async () => {
    const error = await refused(clientOf().getSwarm({}, { timeoutMs: 100 }));
    expect(error.code).toBe('DEADLINE_EXCEEDED');
    return aborted.length > 0;
  });
  expect(aborted[0]).toBe('DEADLINE_EXCEEDED');
});

test('a caller may give up', async () => {
  let finish: (() => void) | undefined;
  const getSwarm = () =>
    new Promise<GetSwarmResponse>((resolve) => {
      finish = () => resolve(GetSwarmResponse.fromJSON({}));
    });
  await using _ = await serve({ getSwarm });
  const controller = new AbortController();
  const call = clientOf().getSwarm({}, { signal: controller.signal });
  await until(() => finish);
  controller.abort();
  expect((await refused(call)).code).toBe('CANCELLED');
  finish?.();
  expect((await refused(clientOf().getSwarm({}, { signal: controller.signal }))).code).toBe('CANCELLED');
});

test('more requests than the bound are refused with a hint, and succeed later', async () => {
  const waiting: (() => void)[] = [];
  const getSwarm = () =>
    new Promise<GetSwarmResponse>((resolve) => waiting.push(() => resolve(GetSwarmResponse.fromJSON({}))));
  await using _ = await serve({ getSwarm }, { maxRequests: 2 });
  const first = [clientOf().getSwarm({}), clientOf().getSwarm({})];
  await until(() => waiting.length === 2);
  const { json } = await ask('GetSwarm', '{}');
  expect(json).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, retryAfterMs: 20 });
  const third = clientOf().getSwarm({});
  for (const each of waiting.splice(0)) each();
  await Promise.all(first);
  await until(() => waiting.length === 1);
  waiting[0]?.();
  await third;
});

test('a stopping server answers what is running and lets a second one take over', async () => {
  let finish: (() => void) | undefined;
  const first = await serve({
    getSwarm: () =>
      new Promise((resolve) => {
        finish = () => resolve(GetSwarmResponse.fromJSON({ revision: '1' }));
      }),
  });
  const running = clientOf().getSwarm({});
  await until(() => finish);
  const stopped = first.stop();
  await using _ = await serve({ getSwarm: async () => GetSwarmResponse.fromJSON({ revision: '2' }) });
  expect((await clientOf().getSwarm({})).revision).toBe('2');
  finish?.();
  expect((await running).revision).toBe('1');
  await stopped;
});

test('a stream brings every item in order, however many, and ends', async () => {
  await using _ = await serve({
    async *watchSwarms() {
      for (let i = 1; i <= 1000; i++) yield watchAnswer(i);
    },
  });
  const got: string[] = [];
  for await (const { revision } of clientOf().watchSwarms({})) got.push(revision);
  expect(got).toEqual(Array.from({ length: 1000 }, (_, i) => String(i + 1)));
});

test('a slow consumer holds the stream back', async () => {
  let made = 0;
  await using _ = await serve({
    async *watchSwarms() {
      for (; made < 10_000; made++) yield watchAnswer(made);
    },
  });
  const stream = clientOf().watchSwarms({})[Symbol.asyncIterator]();
  await stream.next();
  await until(() => made >= 63);
  await clientSide.flush();
  for (let i = 1; i < 64; i++) await stream.next();
  expect(made).toBeLessThanOrEqual(64);
  await stream.next();
  await until(() => made > 64);
  await stream.return?.();
});

test('a consumer that leaves ends the stream on the server', async () => {
  let ended: unknown;
  await using _ = await serve({
    async *watchSwarms(_, { signal }) {
      signal.addEventListener('abort', () => {
        ended = signal.reason.message;
      });
      for (let i = 0; ; i++) yield watchAnswer(i);
    },
  });
  for await (const { revision } of clientOf().watchSwarms({})) if (revision === '10') break;
  expect(await until(() => ended)).toBe('the client is gone');
});

test('a stream ends with its typed error, and with the deadline', async () => {
  await using _ = await serve({
    async *watchSwarms({ fromRevision }) {
      yield watchAnswer(1);
      if (fromRevision === '1') throw new HiveError('OUT_OF_RANGE', 'too old', { reason: 'COMPACTED' });
      await new Promise(() => {});
    },
  });
  const all = async (from: string, timeoutMs?: number) => {
    for await (const _ of clientOf().watchSwarms({ fromRevision: from }, timeoutMs ? { timeoutMs } : {}));
  };
  expect(await refused(all('1'))).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
  expect(await refused(all('2', 100))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
});

test('a stopping server ends its streams with a retryable error', async () => {
  const running = await serve({
    async *watchSwarms() {
      yield watchAnswer(1);
      await new Promise(() => {});
    },
  });
  const stream = clientOf().watchSwarms({})[Symbol.asyncIterator]();
  await stream.next();
  const next = stream.next();
  await running.stop();
  expect(await refused(next)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
});

test('a server that is not on the bus yet is waited for by streams too', async () => {
  const stream = clientOf({ patienceMs: 20_000 }).watchSwarms({})[Symbol.asyncIterator]();
  const first = stream.next();
  await using _ = await serve({
    async *watchSwarms() {
      yield watchAnswer(5);
    },
  });
  expect((await first).value).toMatchObject({ revision: '5' });
  await stream.return?.();
});

test('calls are observed on both sides', async () => {
  const seen: string[] = [];
  const observe = <T>(info: { side: string; method: string }, run: () => Promise<T>) => {
    seen.push(`${info.side} ${info.method}`);
    return run().finally(() => seen.push(`${info.side} ${info.method} done`));
  };
  await using _ = await serve(
    {
      getSwarm: async () => GetSwarmResponse.fromJSON({}),
      async *watchSwarms() {
        yield watchAnswer(1);
      },
    },
    { observe },
  );
  const client = clientOf({ observe });
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
