import { execFile } from 'node:child_process';
import { constants, createServer as createHttp2Server } from 'node:http2';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { credentials, Metadata, Client as RawClient, type ServiceError } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { service as healthService } from 'grpc-health-check';
import { expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError, notFound } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { newKeyPair, tokenSource } from '../../libs/protocol/token.ts';
import type { Api } from '../../libs/rpc/api.ts';
import { createAuthenticator } from '../../libs/rpc/authenticate.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import type { GrpcClientOptions } from '../../libs/rpc/grpc-peer.ts';
import { type GrpcServer, type GrpcServerOptions, serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  GetSwarmResponse,
  HeartbeatResponse,
  ListSwarmsResponse,
  RegistryServiceService,
  StreamHeartbeatsResponse,
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

function serve(api: Partial<Registry>, options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
  const apiOf = (federation: string) => {
    if (federation !== 'main') throw notFound('federation', federation);
    return api as Registry;
  };
  const bindings = [bind('registry', RegistryServiceService, apiOf)];
  return serveGrpc({ bindings, authenticate, port: 0, ...options });
}

const clientOf = (server: { address: string }, options: GrpcClientOptions = {}) =>
  createGrpcClient(server.address, RegistryServiceService, { token, ...options });

async function refused(promise: Promise<unknown>): Promise<HiveError> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof HiveError) return error;
  throw new Error(`expected a HiveError, got ${error}`);
}

/** A unary call with any bytes, as another program may make it. */
function raw(server: GrpcServer, method: string, body: Buffer, metadata: Record<string, string> = {}) {
  const client = new RawClient(server.address, credentials.createInsecure());
  const keep = (bytes: Buffer) => bytes;
  const headers = new Metadata();
  for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
  const path = `/hivebus.registry.v1.RegistryService/${method}`;
  return new Promise<ServiceError | Buffer>((resolve) => {
    client.makeUnaryRequest(path, keep, keep, body, headers, (error, answer) => {
      client.close();
      resolve(error ?? (answer as Buffer));
    });
  });
}

test('a call arrives with who, where from and its request id', async () => {
  const calls: Call[] = [];
  await using server = await serve({
    getSwarm: async ({ name }, call) => {
      calls.push(call);
      return GetSwarmResponse.fromJSON({ swarm: { name }, revision: '7' });
    },
  });
  const trace = { traceparent: '', correlationId: 'job-1', hops: 2 };
  await using client = clientOf(server, { trace: () => trace, clientId: 'cli' });
  expect(await client.getSwarm({ name: 'code' })).toEqual(
    GetSwarmResponse.fromJSON({ swarm: { name: 'code' }, revision: '7' }),
  );
  expect(calls[0]).toMatchObject({
    federation: 'main',
    principal: { kind: 'operator', name: 'ada' },
    trace: { correlationId: 'job-1', hops: 3 },
    request: { client: expect.stringMatching(/^cli-/), counter: 1 },
  });
});

test.each([
  ['malformed bytes', Buffer.from([0xff, 0xff]), {}, 3, 'cannot be read'],
  ['an enum value that is not known', Buffer.from([0x20, 0x63]), {}, 3, 'Unrecognized enum value 99'],
  ['too many hops', Buffer.alloc(0), { 'hive-hops': '17' }, 9, '17 hops'],
  ['bad metadata', Buffer.alloc(0), { 'hive-request-id': 'x' }, 3, 'hive-request-id'],
  ['bad token', Buffer.alloc(0), { authorization: 'Bearer a.b.c' }, 16, 'not a valid JWT'],
  ['unknown federation', Buffer.alloc(0), { 'hive-federation': 'nowhere' }, 5, '"nowhere"'],
])('answered by a typed error: %s', async (_name, body, metadata, code, text) => {
  await using server = await serve({ listSwarms: async () => ListSwarmsResponse.fromJSON({}) });
  expect(await raw(server, 'ListSwarms', body, metadata)).toMatchObject({
    code,
    details: expect.stringContaining(text),
  });
});

test('an error comes back whole', async () => {
  const violations = Array.from({ length: 500 }, (_, i) => ({ field: `f${i}`.repeat(99), value: '1', rule: 'no' }));
  await using server = await serve({
    getSwarm: async () => {
      const options = { reason: 'BAD', retryAfterMs: 5, violations };
      throw new HiveError('INVALID_ARGUMENT', `nö\r\n${'x'.repeat(1 << 20)}`, options);
    },
  });
  await using client = clientOf(server);
  const error = await refused(client.getSwarm({}));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD', retryAfterMs: 5 });
  expect(error.message).toMatch(/^nö\r\nx+\.\.\.$/);
  expect(error.violations?.length).toBeGreaterThan(16); // as many as trailers carry
});

test('a defect is INTERNAL, a missing method UNIMPLEMENTED', async () => {
  await using server = await serve({
    getSwarm: () => {
      throw new Error('boom');
    },
  });
  await using client = clientOf(server);
  expect(await refused(client.getSwarm({}))).toMatchObject({ code: 'INTERNAL', message: 'unexpected: boom' });
  expect(await refused(client.listSwarms({}))).toMatchObject({ code: 'UNIMPLEMENTED' });
});

test('messages over the limit are refused both ways', async () => {
  await using server = await serve(
    { getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name, project: 'x'.repeat(900) } }) },
    { maxMessageBytes: 1000 },
  );
  await using client = clientOf(server);
  expect(await refused(client.getSwarm({ name: 'x'.repeat(1001) }))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(await refused(client.getSwarm({ name: 'x'.repeat(200) }))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('what may pass is tried again under the same request id', async () => {
  const seen: unknown[] = [];
  await using server = await serve({
    getSwarm: async (_, call) => {
      seen.push(call.request);
      if (seen.length < 4) throw new HiveError('UNAVAILABLE', 'later');
      return GetSwarmResponse.fromJSON({});
    },
  });
  await using client = clientOf(server);
  await client.getSwarm({});
  expect(seen).toHaveLength(4);
  expect(new Set(seen.map((id) => JSON.stringify(id))).size).toBe(1);
});

test('nobody there is said with the address', async () => {
  const server = await serve({});
  await server.stop();
  await using client = clientOf(server, { patienceMs: 0 });
  const error = await refused(client.getSwarm({}));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(server.address) });
});

test('deadline and cancellation reach the method', async () => {
  const aborted: string[] = [];
  await using server = await serve({
    getSwarm: ({ name }, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          aborted.push(name);
          reject(signal.reason);
        }),
      ),
  });
  await using client = clientOf(server);
  // On a busy machine a call may be too late before it has reached the method: then another is made.
  await until(async () => {
    const late = await refused(client.getSwarm({ name: 'late' }, { timeoutMs: 100 }));
    expect(late.code).toBe('DEADLINE_EXCEEDED');
    return aborted.includes('late');
  });
  const controller = new AbortController();
  const call = client.getSwarm({ name: 'left' }, { signal: controller.signal });
  controller.abort();
  expect((await refused(call)).code).toBe('CANCELLED');
});

test('more calls than the bound are refused with a hint', async () => {
  const waiting: (() => void)[] = [];
  const getSwarm = () =>
    new Promise<GetSwarmResponse>((resolve) => waiting.push(() => resolve(GetSwarmResponse.fromJSON({}))));
  await using server = await serve({ getSwarm }, { maxCalls: 1 });
  await using client = clientOf(server);
  const first = client.getSwarm({});
  await until(() => waiting.length === 1);
  expect(await raw(server, 'GetSwarm', Buffer.alloc(0))).toMatchObject({ code: 8 });
  waiting[0]?.();
  await first;
});

test('a stream brings every item, and a slow consumer holds it back', async () => {
  let made = 0;
  await using server = await serve({
    async *watchSwarms() {
      const removed = ['x'.repeat(10_000)];
      for (; made < 2000; made++) yield WatchSwarmsResponse.fromJSON({ revision: String(made), removed });
    },
  });
  await using client = clientOf(server);
  let count = 0;
  for await (const { revision } of client.watchSwarms({})) {
    if (count === 0) {
      // 20 MB are to come; what fits into the buffers on the way is far less
      let [before, still] = [-1, 0];
      await until(() => {
        still = before === made ? still + 1 : 0;
        before = made;
        return still === 20;
      });
      expect(made).toBeLessThan(1000);
    }
    expect(revision).toBe(String(count++));
  }
  expect(count).toBe(2000);
});

test('a consumer that leaves ends the stream on the server, an error reaches the consumer', async () => {
  let ended = false;
  await using server = await serve({
    async *watchSwarms({ fromRevision }, { signal }) {
      signal.addEventListener('abort', () => {
        ended = true;
      });
      yield watchAnswer(1);
      if (fromRevision === '1') throw new HiveError('OUT_OF_RANGE', 'too old', { reason: 'COMPACTED' });
      await new Promise(() => {});
    },
  });
  await using client = clientOf(server);
  for await (const _ of client.watchSwarms({})) break;
  await until(() => ended);
  const all = async () => {
    for await (const _ of client.watchSwarms({ fromRevision: '1' }));
  };
  expect(await refused(all())).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
});

test('a stream of requests is answered once', async () => {
  const beats: string[] = [];
  await using server = await serve({
    streamHeartbeats: async (requests) => {
      for await (const { swarm } of requests) {
        beats.push(swarm);
        if (swarm === 'bad') throw new HiveError('PERMISSION_DENIED', 'no');
      }
      return StreamHeartbeatsResponse.fromJSON({ accepted: String(beats.length) });
    },
  });
  await using client = clientOf(server);
  async function* beat(...swarms: string[]) {
    for (const swarm of swarms) yield { swarm };
  }
  expect(await client.streamHeartbeats(beat('a', 'b', 'c'))).toEqual({ accepted: '3' });
  expect((await refused(client.streamHeartbeats(beat('bad')))).code).toBe('PERMISSION_DENIED');
  const faulty = beat('a', 5 as never);
  expect(await refused(client.streamHeartbeats(faulty))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('stopping ends streams with a retryable error and answers what is running', async () => {
  let finish: (() => void) | undefined;
  const server = await serve({
    heartbeat: () =>
      new Promise((resolve) => {
        finish = () => resolve(HeartbeatResponse.fromJSON({ intervalMs: 5 }));
      }),
    async *watchSwarms() {
      yield watchAnswer(1);
      await new Promise(() => {});
    },
  });
  await using client = clientOf(server);
  const stream = client.watchSwarms({})[Symbol.asyncIterator]();
  await stream.next();
  const next = stream.next();
  const running = client.heartbeat({});
  await until(() => finish);
  const stopped = server.stop();
  expect(await refused(next)).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  finish?.();
  expect((await running).intervalMs).toBe(5);
  await stopped;
});

test('a call that an ending server resets may be tried again; nobody has cancelled it', async () => {
  const ending = createHttp2Server();
  ending.on('stream', (stream) => stream.close(constants.NGHTTP2_CANCEL));
  await new Promise<void>((resolve) => ending.listen(0, '127.0.0.1', resolve));
  const { port } = ending.address() as { port: number };
  const client = clientOf({ address: `127.0.0.1:${port}` }, { patienceMs: 1 });
  expect(await refused(client.getSwarm({ name: 'code' }))).toMatchObject({
    ...{ code: 'UNAVAILABLE', retryable: true, reason: 'CONNECTION_ENDED' },
  });
  await client[Symbol.asyncDispose]();
  await new Promise((resolve) => ending.close(resolve));
});

test('a port in use is told as such', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  const error = await refused(serve({}, { port }));
  expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'PORT_IN_USE' });
  expect(error.message).toContain(`127.0.0.1:${port}`);
  await new Promise((resolve) => holder.close(resolve));
});

test('health says what is served', async () => {
  await using server = await serve({});
  const { Check: check } = healthService;
  if (!check) throw new Error('no health check');
  const client = new RawClient(server.address, credentials.createInsecure());
  const statusOf = (service: string) =>
    new Promise((resolve) => {
      const { path, requestSerialize, responseDeserialize } = check;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, (error, answer) =>
        resolve(error?.code ?? (answer as { status: string }).status),
      );
    });
  expect(await statusOf('')).toBe('SERVING');
  expect(await statusOf('hivebus.registry.v1.RegistryService')).toBe('SERVING');
  expect(await statusOf('other')).toBe(5);
  server.setServing(false);
  expect(await statusOf('hivebus.registry.v1.RegistryService')).toBe('NOT_SERVING');
  client.close();
});

test('buf curl finds a method by reflection and calls it', async () => {
  await using server = await serve({ getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name } }) });
  const url = `http://127.0.0.1:${server.port}/hivebus.registry.v1.RegistryService/GetSwarm`;
  const options = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '--data', '{"name": "code"}'];
  const { stdout } = await promisify(execFile)('node_modules/.bin/buf', [...options, url]);
  expect(JSON.parse(stdout)).toEqual({ swarm: { name: 'code' } });
});

test('reflection lists the services and describes them', async () => {
  await using server = await serve({});
  const root = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const proto = loadSync('reflection/v1/reflection.proto', { includeDirs: [join(root, 'build/proto/grpc')] });
  const { ServerReflectionInfo: info } = proto['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
  if (!info) throw new Error('no reflection service');
  const { path, requestSerialize, responseDeserialize } = info;
  const client = new RawClient(server.address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  call.write({ listServices: '*' });
  call.write({ fileContainingSymbol: 'hivebus.registry.v1.RegistryService' });
  call.end();
  const answers: object[] = [];
  for await (const answer of call) answers.push(answer);
  client.close();
  expect(answers[0]).toMatchObject({
    listServicesResponse: { service: [{ name: 'hivebus.registry.v1.RegistryService' }] },
  });
  expect(answers[1]).toMatchObject({ fileDescriptorResponse: { fileDescriptorProto: expect.any(Array) } });
});
