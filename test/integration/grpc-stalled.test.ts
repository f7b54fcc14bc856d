import { constants } from 'node:http2';
import { expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import type { GrpcServer } from '../../libs/rpc/grpc-server.ts';
import { startTelemetry } from '../../libs/telemetry/telemetry.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  GetSwarmRequest,
  GetSwarmResponse,
  WatchSwarmsRequest,
  WatchSwarmsResponse,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { call, connection, frame, open, outcome } from './raw-grpc.ts';
import { grpcClient, serveOnGrpc } from './rpc-harness.ts';

/** Clients that take nothing of what they asked for, or leave: what they hold is freed, and others do not notice. */

const CALM = constants.NGHTTP2_ENHANCE_YOUR_CALM; // gRPC clients show it as RESOURCE_EXHAUSTED
const WATCH = frame(WatchSwarmsRequest.encode(WatchSwarmsRequest.fromJSON({})).finish());
const ASK = frame(GetSwarmRequest.encode(GetSwarmRequest.fromJSON({ name: 'code' })).finish());
const large = 'x'.repeat(10_000);

/** Endless streams of large items, large answers, and how much was made. */
async function served(options = {}) {
  const made = { items: 0, ended: 0 };
  const server = await serveOnGrpc(
    {
      async *watchSwarms() {
        try {
          for (;;) {
            made.items++;
            yield WatchSwarmsResponse.fromJSON({ removed: [large] });
          }
        } finally {
          made.ended++;
        }
      },
      getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name, project: large.repeat(10) } }),
    },
    options,
  );
  return { server, made };
}

const isFree = ({ load }: GrpcServer) => Object.values(load()).every((count) => count === 0);

test('a stream that nobody reads is held back, then ended; others on the same connection are served', async () => {
  const { server, made } = await served({ stallMs: 1000 });
  await using _server = server;
  using session = await connection(server);
  const stream = open(session, 'WatchSwarms');
  const came = outcome(stream);
  stream.pause();
  stream.end(WATCH);
  await until(() => made.items > 0);
  expect((await call(session, 'GetSwarm', ASK)).status).toBe(0);
  const { reset, status } = await came;
  expect([reset, status]).toEqual([CALM, undefined]);
  await until(() => made.ended === 1 && isFree(server));
  expect(made.items).toBeLessThan(100); // of 10 kB, when 64 kB were asked for
  expect((await call(session, 'GetSwarm', ASK)).status).toBe(0);
});

test('a client library shows it as RESOURCE_EXHAUSTED, with the reason when it still takes what came before', async () => {
  const { server } = await served({ stallMs: 300 });
  await using _server = server;
  await using client = grpcClient(server);
  const stream = client.watchSwarms({})[Symbol.asyncIterator]();
  await stream.next();
  await until(() => isFree(server));
  const rest = async () => {
    for (;;) await stream.next();
  };
  await expect(rest()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('answers that nobody takes are dropped in time', async () => {
  let nowMs = 0;
  const clock = { ...systemClock, monotonic: () => nowMs };
  const { server } = await served({ stallMs: 4000, clock });
  await using _server = server;
  using session = await connection(server, { initialWindowSize: 0 });
  const calls = Array.from({ length: 50 }, () => call(session, 'GetSwarm', ASK));
  await until(() => server.load().untaken === 50);
  expect(server.load().calls).toBe(0); // they keep nobody out
  nowMs = 4001;
  for (const { reset, body } of await Promise.all(calls)) expect([reset, body.length]).toEqual([CALM, 0]);
  await until(() => isFree(server));
});

test('of too many answers that nobody takes the oldest goes first', async () => {
  const { server } = await served({ maxCalls: 4 });
  await using _server = server;
  using first = await connection(server, { initialWindowSize: 0 });
  using second = await connection(server, { initialWindowSize: 0 });
  const old = Array.from({ length: 4 }, () => call(first, 'GetSwarm', ASK));
  await until(() => server.load().untaken === 4);
  void Array.from({ length: 3 }, () => call(second, 'GetSwarm', ASK));
  for (const { reset } of await Promise.all(old.slice(0, 3))) expect(reset).toBe(CALM);
  expect(server.load().untaken).toBe(4);
  using third = await connection(server);
  expect((await call(third, 'GetSwarm', ASK)).status).toBe(0);
});

test('the deadline ends a stream that nobody reads', async () => {
  const { server, made } = await served();
  await using _server = server;
  using session = await connection(server);
  await until(async () => {
    const stream = open(session, 'WatchSwarms', { 'grpc-timeout': '300m' });
    const came = outcome(stream);
    stream.pause();
    stream.end(WATCH);
    await came;
    return made.items > 0; // on a slow machine it comes too late to be begun
  });
  await until(() => made.ended > 0 && isFree(server));
});

test('a connection that is cut frees its streams', async () => {
  const { server, made } = await served();
  await using _server = server;
  const session = await connection(server);
  for (let i = 0; i < 20; i++) open(session, 'WatchSwarms').end(WATCH).pause();
  await until(() => server.load().streams === 20);
  session.destroy();
  await until(() => made.ended === 20 && isFree(server) && server.connections === 0);
});

test('cancelled streams leave the gauge of what is running', async () => {
  await using telemetry = await startTelemetry({ service: 'test', traces: 'off', metricsPort: 0 });
  const { server, made } = await served({ observe: telemetry.observe });
  await using _server = server;
  const running = async () => {
    const text = await (await fetch(`http://127.0.0.1:${telemetry.metricsPort}/metrics`)).text();
    return Number(/^rpc_active\{.*method="WatchSwarms".*\} (\d+)/m.exec(text)?.[1] ?? -1);
  };
  await using client = grpcClient(server);
  const leaving = new AbortController();
  const streams = Array.from({ length: 10 }, () =>
    client.watchSwarms({}, { signal: leaving.signal })[Symbol.asyncIterator](),
  );
  await Promise.all(streams.map((stream) => stream.next()));
  expect(await running()).toBe(10);
  leaving.abort();
  await until(async () => (await running()) === 0);
  expect(made.ended).toBe(10);
  await until(() => isFree(server));
}, 300_000);
