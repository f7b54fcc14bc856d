import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import type { GrpcClientOptions } from '../../libs/rpc/grpc-peer.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { grpcClient, serveOnGrpc } from './rpc-harness.ts';

/** What a client says of an address where something listens that is no gRPC server, or one that hangs. */

interface Stranger extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** Connections that are open. */
  readonly sockets: Set<Socket>;
  /** Connections that ever were. */
  taken(): number;
}

async function listening(server: Server): Promise<Stranger> {
  const sockets = new Set<Socket>();
  let count = 0;
  server.on('connection', (socket: Socket) => {
    count++;
    sockets.add(socket);
    socket.on('error', () => {}); // told by `close`
    socket.once('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as { port: number };
  const stop = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  return { address: `127.0.0.1:${port}`, port, sockets, taken: () => count, [Symbol.asyncDispose]: stop };
}

/** Takes connections and reads what comes; `speak` is all that it says. */
const plain = (speak: (socket: Socket) => void = () => {}) =>
  listening(createServer((socket) => void speak(socket.resume())));

/** Long enough for any call that is not given up for another reason. */
const LIMIT = { timeoutMs: 600_000 };
const QUICK: GrpcClientOptions = { patienceMs: 0, greetingMs: 50 };

test('a port that takes connections and never speaks is told of long before the limit, and is not left with connections', async () => {
  await using server = await plain();
  await using client = grpcClient(server, QUICK);
  const error = await refused(client.getSwarm({}, LIMIT));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_RESPONDERS', retryable: true });
  expect(error.message).toContain(`what listens at ${server.address} takes connections and does not speak gRPC`);
  expect(error.message).toContain('does the process there hang');
  expect(error.cause).toMatchObject({ details: expect.stringContaining('within 50 ms') });
  await client[Symbol.asyncDispose]();
  await until(() => server.sockets.size === 0);
});

test('so is one that says less than the first frame takes, and streams are told, too', async () => {
  await using server = await plain((socket) => socket.write('OK\n'));
  await using client = grpcClient(server, QUICK);
  const unary = refused(client.getSwarm({}, LIMIT));
  const stream = refused(client.watchSwarms({})[Symbol.asyncIterator]().next());
  const sending = refused(client.streamHeartbeats((async function* () {})()));
  for (const error of await Promise.all([unary, stream, sending])) {
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('it says nothing') });
  }
});

test('the time that a server has to speak is of the passed clock, and a client that stands still itself counts it once', async () => {
  const timers: (() => void)[] = [];
  const clock = {
    ...systemClock,
    after: (_ms: number, run: () => void) => {
      timers.push(run);
      return { [Symbol.dispose]: () => {} };
    },
  };
  await using server = await plain();
  await using client = grpcClient(server, { ...QUICK, clock });
  const failed = refused(client.getSwarm({}, LIMIT));
  for (let looks = 1; looks <= 3; looks++) {
    (await until(() => timers.shift()))();
    await until(() => timers.length > 0); // it looked, and will look once more
    expect(server.sockets.size).toBe(1);
  }
  timers.shift()?.();
  expect(await failed).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('it says nothing') });
});

test('within its patience a client goes on, and finds who speaks there next', async () => {
  const silent = await plain();
  await using client = grpcClient(silent, { patienceMs: 300_000, greetingMs: 50 });
  const call = client.getSwarm({}, LIMIT);
  await until(() => silent.taken() > 0);
  await silent[Symbol.asyncDispose]();
  await using _next = await serveOnGrpc({ getSwarm: async () => GetSwarmResponse.fromJSON({}) }, { port: silent.port });
  expect(await call).toMatchObject({ swarm: undefined });
});

test('a server that speaks and takes long to answer is waited for', async () => {
  const asked: (() => void)[] = [];
  const getSwarm = () =>
    new Promise<GetSwarmResponse>((resolve) => asked.push(() => resolve(GetSwarmResponse.fromJSON({}))));
  await using server = await serveOnGrpc({ getSwarm });
  const looks: (() => void)[] = [];
  const after = (_ms: number, run: () => void) => {
    looks.push(run);
    return { [Symbol.dispose]: () => {} };
  };
  await using client = grpcClient(server, { clock: { ...systemClock, after, defer: (run) => run() } });
  const call = client.getSwarm({}, LIMIT);
  await until(() => asked.length === 1);
  for (let look = looks.shift(); look; look = looks.shift()) look(); // the time for the first words is over
  asked[0]?.();
  expect(await call).toMatchObject({ swarm: undefined });
});

const NOT_GRPC = { code: 'UNAVAILABLE', reason: 'NOT_GRPC', retryable: true };

test.each([
  ['HTTP/1.1', () => listening(createHttpServer((_, response) => response.end('hello')))],
  ['NATS, which greets', () => plain((socket) => socket.write('INFO {"server_id":"n","version":"2.9.10"}\r\n'))],
  ['SSH', () => plain((socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'))],
  [
    'what answers each line',
    () => plain((socket) => socket.on('data', () => socket.write('-ERR unknown command\r\n'))),
  ],
])('what is no gRPC server is told of in words of ours: %s', async (_, start) => {
  await using server = await start();
  await using client = grpcClient(server, { patienceMs: 0 });
  const error = await refused(client.getSwarm({}, LIMIT));
  expect(error).toMatchObject(NOT_GRPC);
  expect(error.message).toMatch(`what listens at ${server.address} does not speak gRPC, but something else`);
  expect(error.message).toContain(`is ${server.address} the gRPC port of Hivebus?`);
  expect(error.cause).toMatchObject({ code: 14, details: expect.stringContaining('Last error') });
});

test.each([
  ['at once', (socket: Socket) => void socket.destroy()],
  ['by its half', (socket: Socket) => void socket.end()],
  ['after an alert, as TLS does', (socket: Socket) => void socket.end(Buffer.from('15030100020246', 'hex'))],
  ['when it is spoken to', (socket: Socket) => void socket.once('data', () => socket.resetAndDestroy())],
])('what closes connections %s is not said to be nobody', async (_, speak) => {
  await using server = await plain(speak);
  await using client = grpcClient(server, { patienceMs: 0 });
  const error = await refused(client.getSwarm({}, LIMIT));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_RESPONDERS', retryable: true });
  expect(error.message).toContain(`what listens at ${server.address} closes connections`);
});
