import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../libs/kernel/clock.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { openPoolSession } from '../../libs/sdk/pool-session.ts';
import type { PoolSessionOptions } from '../../libs/sdk/pool-session-options.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { PoolSessionServiceService, type SessionAnswer } from '../../libs/wire/hivebus/pool/v1/session.ts';
import { closePool, hive, openPool, servePool, swarm } from './pool-harness.ts';
import { serveSessions, submission as submissionOf, tokenOf } from './session-harness.ts';

/** Sessions whose server takes the connection and says nothing, at whichever stage: they go on at the next address. */

beforeAll(openPool);
afterAll(closePool);

/** `open` tries an address first that says nothing, then a pool that lives. */
async function setUp(closing: Closing) {
  const code = await swarm(closing);
  const token = await tokenOf({ kind: 'swarm', swarm: code.name });
  const { address } = await serveSessions(closing, await servePool(closing));
  const breaks: HiveError[] = [];
  const open = (silent: string, change: Partial<PoolSessionOptions> = {}) => {
    const onBreak = (error: HiveError) => void breaks.push(error);
    return closing.use(openPoolSession({ addresses: [silent, address], token, openingMs: 200, onBreak, ...change }));
  };
  const submission = submissionOf({ swarm: code.name, type: 'lint' });
  const total = async () => (await hive.pool.listTasks({ swarm: code.name, pageSize: 1 })).total;
  return { open, submission, total, breaks, token, address };
}

/** Where `server` listens; it ends with its connections. */
async function listening(closing: Closing, server: Server): Promise<{ address: string; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}); // told by `close`
    socket.once('close', () => sockets.delete(socket));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  closing.use({ [Symbol.asyncDispose]: stop });
  return { address: `127.0.0.1:${(server.address() as { port: number }).port}`, sockets };
}

test('a port that takes connections and never speaks is left for the next address', async () => {
  await using closing = new Closing();
  const { open, submission, total, breaks } = await setUp(closing);
  const silent = await listening(
    closing,
    createServer((socket) => void socket.resume()),
  );
  const session = open(silent.address);
  const calls = Array.from({ length: 20 }, () => session.call('submitTask', submission));
  expect((await Promise.all(calls)).every(({ created }) => created)).toBe(true);
  expect(breaks[0]).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  expect(breaks[0]?.message).toContain(`${silent.address} did not answer the session's opening within`);
  await until(async () => (await total()) === 20);
  await until(() => silent.sockets.size === 0); // no connection is left with who hangs
});

test('so is a server of HTTP/2 that never answers', async () => {
  await using closing = new Closing();
  const { open, submission, breaks } = await setUp(closing);
  const mute = createHttp2Server();
  mute.on('stream', (stream) => stream.on('error', () => {}).resume());
  const { address } = await listening(closing, mute);
  const session = open(address);
  expect(await session.call('submitTask', submission)).toMatchObject({ created: true });
  expect(breaks[0]?.message).toContain(`${address} did not answer the session's opening`);
});

test('calls that a silent server took and had done are not done again at the next', async () => {
  await using closing = new Closing();
  const { open, submission, total, breaks, token, address: pool } = await setUp(closing);
  const behind = closing.use(createGrpcClient(pool, PoolSessionServiceService, { token }));
  const heard: SessionAnswer[] = [];
  const binding = bind('pool', PoolSessionServiceService, () => ({
    // biome-ignore lint/correctness/useYield: it passes everything on and gives no answer
    async *session(requests, { signal }) {
      for await (const answer of behind.session(requests, { signal })) heard.push(...answer.answers);
    },
  }));
  const authenticate = () => ({ kind: 'anonymous' }) as const;
  const mute = closing.use(await serveGrpc({ bindings: [binding], authenticate, port: 0 }));
  const openings: (() => void)[] = [];
  const openingMs = 4321;
  const after: Clock['after'] = (ms, run) => {
    if (ms !== openingMs) return systemClock.after(ms, run);
    openings.push(run);
    return { [Symbol.dispose]: () => {} };
  };
  const session = open(mute.address, { openingMs, clock: { ...systemClock, after } });
  const calls = Array.from({ length: 10 }, () => session.call('submitTask', submission));
  await until(() => heard.length === 10);
  openings[0]?.();
  const ids = (await Promise.all(calls)).map(({ id }) => id);
  expect(ids).toEqual(heard.map(({ submitTask }) => submitTask?.id));
  expect(breaks.map(({ message }) => message)).toEqual([expect.stringContaining(`${mute.address} did not answer`)]);
  await until(async () => (await total()) === 10);
});
