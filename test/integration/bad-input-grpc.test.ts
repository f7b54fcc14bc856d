import { get } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { type GrpcServer, serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  GetSwarmRequest,
  GetSwarmResponse,
  StreamHeartbeatsRequest,
  StreamHeartbeatsResponse,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { call, connection, frame, open, outcome } from './raw-grpc.ts';
import { grpcClient, serveOnGrpc } from './rpc-harness.ts';

/** Strangers on the gRPC port: each gets a clear error, nothing is done, and the server goes on. */

const GOOD = frame(GetSwarmRequest.encode(GetSwarmRequest.fromJSON({ name: 'code' })).finish());

/** A server that notes what it was asked to do. */
async function served(options = {}) {
  const done: string[] = [];
  const server = await serveOnGrpc(
    {
      getSwarm: async ({ name }) => {
        done.push(name);
        if (name === 'never') await new Promise(() => {});
        return GetSwarmResponse.fromJSON({ swarm: { name } });
      },
      streamHeartbeats: async (beats) => {
        for await (const { swarm } of beats) done.push(swarm);
        return StreamHeartbeatsResponse.fromJSON({});
      },
    },
    options,
  );
  return { server, done };
}

/** Others are served as if nothing had been. */
async function goesOn(server: GrpcServer): Promise<void> {
  await using client = grpcClient(server);
  expect((await client.getSwarm({ name: 'still' })).swarm?.name).toBe('still');
}

test.each([
  ['garbage as a message', frame(Buffer.from('\xff\xfe garbage \x00', 'latin1')), {}, 3, 'the request cannot be read'],
  ['half of a message', GOOD.subarray(0, GOOD.length - 2), {}, 12, ''],
  ['no message', Buffer.alloc(0), {}, 12, ''],
  ['two messages', Buffer.concat([GOOD, GOOD]), {}, 12, ''],
  ['a length beyond the limit', frame(Buffer.alloc(10), { length: 0xffffffff }), {}, 8, 'larger than max'],
  ['a message over the limit', frame(Buffer.alloc(5 << 20)), {}, 8, 'larger than max'],
  ['what is not compressed as it says', frame(GOOD, { compressed: true }), { 'grpc-encoding': 'gzip' }, 13, ''],
  ['an unknown compression', frame(GOOD, { compressed: true }), { 'grpc-encoding': 'rot13' }, 12, 'rot13'],
  [
    'what grows over the limit',
    frame(gzipSync(Buffer.alloc(64 << 20)), { compressed: true }),
    { 'grpc-encoding': 'gzip' },
    8,
    '4194304',
  ],
])('%s', async (_, bytes, headers, status, text) => {
  const { server, done } = await served();
  await using _server = server;
  using session = await connection(server);
  const came = await call(session, 'GetSwarm', bytes, headers);
  expect(came.status).toBe(status);
  expect(came.message).toContain(text);
  expect(done).toEqual([]);
  expect((await call(session, 'GetSwarm', GOOD)).status).toBe(0); // on the same connection
  await goesOn(server);
});

test.each([
  ['hops', { 'hive-hops': 'many' }, 3, 'header hive-hops'],
  ['request id', { 'hive-request-id': '; drop' }, 3, 'header hive-request-id'],
  ['correlation id', { 'hive-correlation-id': 'x'.repeat(200) }, 3, 'header hive-correlation-id'],
  ['authorization', { authorization: 'Basic Zm9v' }, 3, 'must be `Bearer <token>`'],
  ['federation', { 'hive-federation': '../../etc' }, 5, '"../../etc"'],
  ['time-out', { 'grpc-timeout': 'banana' }, 13, 'banana'],
  ['ours and theirs', { 'hive-timeout-ms': '-1', 'hive-hops': '1e9' }, 3, 'header hive-timeout-ms'],
])('garbage in metadata: %s', async (_, headers, status, text) => {
  const { server, done } = await served();
  await using _server = server;
  using session = await connection(server);
  const came = await call(session, 'GetSwarm', GOOD, headers);
  expect(came).toMatchObject({ status, message: expect.stringContaining(text) });
  expect(done).toEqual([]);
  await goesOn(server);
});

test('metadata that means nothing to us does no harm', async () => {
  const { server } = await served();
  await using _server = server;
  using session = await connection(server);
  const odd = { traceparent: '00-zz', 'x-odd-bin': '!!!', 'x-long': 'y'.repeat(8000), 'grpc-accept-encoding': ',,,' };
  expect((await call(session, 'GetSwarm', GOOD, odd)).status).toBe(0);
  const huge = await call(session, 'GetSwarm', GOOD, { 'x-huge': 'z'.repeat(200_000) });
  expect(huge.status === undefined || huge.status > 0).toBe(true);
  await goesOn(server);
});

test.each([
  ['grpc-timeout', { 'grpc-timeout': '1n' }],
  ['hive-timeout-ms', { 'hive-timeout-ms': '0' }],
])('what arrives after its deadline is not done: %s', async (_, headers) => {
  const { server, done } = await served();
  await using _server = server;
  using session = await connection(server);
  for (let i = 0; i < 20; i++) expect((await call(session, 'GetSwarm', GOOD, headers)).status).toBe(4);
  expect(done).toEqual([]);
  await goesOn(server);
});

test.each([
  ['grpc-timeout', { 'grpc-timeout': '300m' }],
  ['hive-timeout-ms', { 'hive-timeout-ms': '300' }],
])('what is not done by its deadline is ended: %s', async (_, headers) => {
  const { server, done } = await served();
  await using _server = server;
  using session = await connection(server);
  const never = frame(GetSwarmRequest.encode(GetSwarmRequest.fromJSON({ name: 'never' })).finish());
  await until(async () => {
    expect((await call(session, 'GetSwarm', never, headers)).status).toBe(4);
    return done.length > 0; // on a slow machine it comes too late to be begun
  });
  await until(() => server.load().calls === 0);
});

test('a stream of requests with garbage or too much in it ends, and what came before counts', async () => {
  const { server, done } = await served();
  await using _server = server;
  using session = await connection(server);
  const beat = frame(StreamHeartbeatsRequest.encode(StreamHeartbeatsRequest.fromJSON({ swarm: 'code' })).finish());
  const garbage = await call(session, 'StreamHeartbeats', Buffer.concat([beat, frame(Buffer.from([0xff]))]));
  expect(garbage.status).toBe(3);
  const tooMuch = await call(session, 'StreamHeartbeats', Buffer.concat([beat, frame(Buffer.alloc(5 << 20))]));
  expect(tooMuch.status).toBe(8);
  expect(done.every((swarm) => swarm === 'code')).toBe(true);
  await until(() => server.load().streams === 0);
  await goesOn(server);
});

test('HTTP/1 is told what the port is for, HTTP/2 that is no gRPC gets its status', async () => {
  const { server } = await served();
  await using _server = server;
  const [status, type, body] = await new Promise<[number?, string?, string?]>((resolve, reject) => {
    get(`http://${server.address}/`, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve([response.statusCode, response.headers['content-type'], text]));
    }).on('error', reject);
  });
  expect([status, type]).toEqual([505, 'application/problem+json']);
  expect(JSON.parse(body ?? '')).toMatchObject({ status: 505, detail: expect.stringContaining('use a gRPC client') });
  using session = await connection(server);
  const page = session.request({ ':path': '/' });
  expect(await new Promise((resolve) => page.on('response', (headers) => resolve(headers[':status'])))).toBe(415);
  expect((await outcome(open(session, 'Nothing').end())).status).toBe(12);
  await goesOn(server);
});

test('TLS, garbage, and a preface with garbage after it are cut off', async () => {
  const { server } = await served();
  await using _server = server;
  const tls = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
  await new Promise((resolve) => tls.once('error', resolve));
  for (const bytes of ['\x00\x01\x02', 'SSH-2.0-x\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n']) {
    const socket = await dial(server);
    const closed = ended(socket);
    socket.write(Buffer.from(bytes, 'latin1'));
    await closed;
  }
  await until(() => server.connections === 0);
  await goesOn(server);
});

test('a preface may come in pieces', async () => {
  const { server } = await served();
  await using _server = server;
  const socket = await dial(server);
  const answered = new Promise<Buffer>((resolve) => socket.once('data', resolve));
  const emptySettings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  for (const byte of Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), emptySettings])) {
    await new Promise((resolve) => socket.write(Buffer.from([byte]), resolve));
  }
  expect((await answered)[3]).toBe(4); // the server's own settings
  socket.destroy();
});

test('a thousand connections that are opened and left are closed, and others are served meanwhile', async () => {
  const { server } = await served({ greetingMs: 2000 });
  await using _server = server;
  const sockets = await Promise.all(Array.from({ length: 1000 }, () => dial(server)));
  const closed = sockets.map(ended);
  await goesOn(server);
  await Promise.all(closed);
  await until(() => server.connections === 0);
}, 300_000);

test('more connections than the bound are closed at once', async () => {
  const { server } = await served({ maxConnections: 3 });
  await using _server = server;
  const kept = await Promise.all(Array.from({ length: 3 }, () => dial(server)));
  await until(() => server.connections === 3);
  for (let i = 0; i < 5; i++) await ended(await dial(server));
  for (const socket of kept) socket.destroy();
  await until(() => server.connections === 0);
  await goesOn(server);
});

test('a server that stops ends connections of whatever kind', async () => {
  const { server } = await served();
  const silent = ended(await dial(server));
  using session = await connection(server);
  const gone = new Promise((resolve) => session.once('close', resolve));
  await server.stop();
  await Promise.all([silent, gone]);
  const options = { bindings: [], authenticate: () => ({ kind: 'anonymous' }) as const, port: server.port };
  await using _again = await serveGrpc(options); // the port is free
});

function dial(server: GrpcServer): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connectTcp(server.port, '127.0.0.1', () => resolve(socket));
    socket.on('error', () => {}); // told by `close`
  });
}

function ended(socket: Socket): Promise<void> {
  socket.resume();
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
