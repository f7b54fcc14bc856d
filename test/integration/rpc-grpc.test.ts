import { constants, createServer as createHttp2Server } from 'node:http2';
import { credentials, Metadata, Client as RawClient, type ServiceError } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { GrpcServer } from '../../libs/rpc/grpc-server.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse, ListSwarmsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { grpcClient, serveOnGrpc } from './rpc-harness.ts';

/** What a call over gRPC carries in both directions, the typed errors that it is refused with, and how it is given up. */

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
  await using server = await serveOnGrpc({
    getSwarm: async ({ name }, call) => {
      calls.push(call);
      return GetSwarmResponse.fromJSON({ swarm: { name }, revision: '7' });
    },
  });
  const trace = { traceparent: '', correlationId: 'job-1', hops: 2 };
  await using client = grpcClient(server, { trace: () => trace, clientId: 'cli' });
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
  await using server = await serveOnGrpc({ listSwarms: async () => ListSwarmsResponse.fromJSON({}) });
  expect(await raw(server, 'ListSwarms', body, metadata)).toMatchObject({
    code,
    details: expect.stringContaining(text),
  });
});

test('an error comes back whole', async () => {
  const violations = Array.from({ length: 500 }, (_, i) => ({ field: `f${i}`.repeat(99), value: '1', rule: 'no' }));
  await using server = await serveOnGrpc({
    getSwarm: async () => {
      const options = { reason: 'BAD', retryAfterMs: 5, violations };
      throw new HiveError('INVALID_ARGUMENT', `nö\r\n${'x'.repeat(1 << 20)}`, options);
    },
  });
  await using client = grpcClient(server);
  const error = await refused(client.getSwarm({}));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD', retryAfterMs: 5 });
  expect(error.message).toMatch(/^nö\r\nx+\.\.\.$/);
  expect(error.violations?.length).toBeGreaterThan(16); // as many as trailers carry
});

test('a defect is INTERNAL, a missing method UNIMPLEMENTED', async () => {
  await using server = await serveOnGrpc({
    getSwarm: () => {
      throw new Error('boom');
    },
  });
  await using client = grpcClient(server);
  expect(await refused(client.getSwarm({}))).toMatchObject({ code: 'INTERNAL', message: 'unexpected: boom' });
  expect(await refused(client.listSwarms({}))).toMatchObject({ code: 'UNIMPLEMENTED' });
});

test('messages over the limit are refused both ways', async () => {
  await using server = await serveOnGrpc(
    { getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name, project: 'x'.repeat(900) } }) },
    { maxMessageBytes: 1000 },
  );
  await using client = grpcClient(server);
  expect(await refused(client.getSwarm({ name: 'x'.repeat(1001) }))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(await refused(client.getSwarm({ name: 'x'.repeat(200) }))).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('what may pass is tried again under the same request id', async () => {
  const seen: unknown[] = [];
  await using server = await serveOnGrpc({
    getSwarm: async (_, call) => {
      seen.push(call.request);
      if (seen.length < 4) throw new HiveError('UNAVAILABLE', 'later');
      return GetSwarmResponse.fromJSON({});
    },
  });
  await using client = grpcClient(server);
  await client.getSwarm({});
  expect(seen).toHaveLength(4);
  expect(new Set(seen.map((id) => JSON.stringify(id))).size).toBe(1);
});

test('nobody there is said with the address', async () => {
  const server = await serveOnGrpc({});
  await server.stop();
  await using client = grpcClient(server, { patienceMs: 0 });
  const error = await refused(client.getSwarm({}));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining(server.address) });
});

test('deadline and cancellation reach the method', async () => {
  const aborted: string[] = [];
  await using server = await serveOnGrpc({
    getSwarm: ({ name }, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => {
          aborted.push(name);
          reject(signal.reason);
        }),
      ),
  });
  await using client = grpcClient(server);
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
  await using server = await serveOnGrpc({ getSwarm }, { maxCalls: 1 });
  await using client = grpcClient(server);
  const first = client.getSwarm({});
  await until(() => waiting.length === 1);
  expect(await raw(server, 'GetSwarm', Buffer.alloc(0))).toMatchObject({ code: 8 });
  waiting[0]?.();
  await first;
});

test('a call that an ending server resets may be tried again; nobody has cancelled it', async () => {
  const ending = createHttp2Server();
  ending.on('stream', (stream) => stream.close(constants.NGHTTP2_CANCEL));
  await new Promise<void>((resolve) => ending.listen(0, '127.0.0.1', resolve));
  const { port } = ending.address() as { port: number };
  const client = grpcClient({ address: `127.0.0.1:${port}` }, { patienceMs: 1 });
  expect(await refused(client.getSwarm({ name: 'code' }))).toMatchObject({
    ...{ code: 'UNAVAILABLE', retryable: true, reason: 'CONNECTION_ENDED' },
  });
  await client[Symbol.asyncDispose]();
  await new Promise((resolve) => ending.close(resolve));
});

/** A server that loses the first call's connection, and then is not there any more. */
async function failing(
  whenAsked: () => void = () => {},
): Promise<{ address: string; port: number; gone: Promise<void> }> {
  const server = createHttp2Server();
  const gone = new Promise<void>((resolve) => {
    server.once('stream', ({ session }) => {
      whenAsked();
      server.close(() => resolve());
      session?.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { address: `127.0.0.1:${port}`, port, gone };
}

test('of a call whose connection was lost it is said that it may have happened, also when nobody is there any more', async () => {
  const server = await failing();
  await using client = grpcClient(server, { patienceMs: 100 });
  const error = await refused(client.getSwarm({}));
  expect(error).toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: false });
  expect(error.message).toContain('may have happened');
});

test('a call that was long under way when its server went away waits for the next one, as one does that begins', async () => {
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, monotonic: () => performance.now() + aheadMs };
  const server = await failing(() => {
    aheadMs = 60_000;
  });
  await using client = grpcClient(server, { clock, patienceMs: 30_000 });
  const call = client.getSwarm({}, { timeoutMs: 120_000 });
  await server.gone;
  await using _next = await serveOnGrpc({ getSwarm: async () => GetSwarmResponse.fromJSON({}) }, { port: server.port });
  expect(await call).toMatchObject({ swarm: undefined });
});
