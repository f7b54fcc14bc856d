import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  GetSwarmResponse,
  HeartbeatResponse,
  StreamHeartbeatsResponse,
  WatchSwarmsResponse,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { grpcClient, serveOnGrpc, watchAnswer } from './rpc-harness.ts';

/** Streams over gRPC, of answers and of requests. */

test('a stream brings every item, and a slow consumer holds it back', async () => {
  let made = 0;
  await using server = await serveOnGrpc({
    async *watchSwarms() {
      const removed = ['x'.repeat(10_000)];
      for (; made < 2000; made++) yield WatchSwarmsResponse.fromJSON({ revision: String(made), removed });
    },
  });
  await using client = grpcClient(server);
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
  await using server = await serveOnGrpc({
    async *watchSwarms({ fromRevision }, { signal }) {
      signal.addEventListener('abort', () => {
        ended = true;
      });
      yield watchAnswer(1);
      if (fromRevision === '1') throw new HiveError('OUT_OF_RANGE', 'too old', { reason: 'COMPACTED' });
      await new Promise(() => {});
    },
  });
  await using client = grpcClient(server);
  for await (const _ of client.watchSwarms({})) break;
  await until(() => ended);
  const all = async () => {
    for await (const _ of client.watchSwarms({ fromRevision: '1' }));
  };
  expect(await refused(all())).toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
});

test('a stream of requests is answered once', async () => {
  const beats: string[] = [];
  await using server = await serveOnGrpc({
    streamHeartbeats: async (requests) => {
      for await (const { swarm } of requests) {
        beats.push(swarm);
        if (swarm === 'bad') throw new HiveError('PERMISSION_DENIED', 'no');
      }
      return StreamHeartbeatsResponse.fromJSON({ accepted: String(beats.length) });
    },
  });
  await using client = grpcClient(server);
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
  const server = await serveOnGrpc({
    heartbeat: () =>
      new Promise((resolve) => {
        finish = () => resolve(HeartbeatResponse.fromJSON({ intervalMs: 5 }));
      }),
    async *watchSwarms() {
      yield watchAnswer(1);
      await new Promise(() => {});
    },
  });
  await using client = grpcClient(server);
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

test('a client that is closed ends its streams and answers what is under way; nothing begins any more', async () => {
  let answer = () => {};
  const asked = new Promise<void>((resolve) => {
    answer = resolve;
  });
  let isAsked = false;
  await using server = await serveOnGrpc({
    async *watchSwarms() {
      yield watchAnswer(1);
      await new Promise(() => {});
    },
    getSwarm: async () => {
      isAsked = true;
      await asked;
      return GetSwarmResponse.fromJSON({});
    },
  });
  const client = grpcClient(server);
  const watch = async () => {
    for await (const _ of client.watchSwarms({})) await client[Symbol.asyncDispose]();
  };
  const watched = refused(watch());
  const call = client.getSwarm({});
  await until(() => isAsked);
  const closed = { code: 'FAILED_PRECONDITION', message: 'the client is closed' };
  expect(await watched).toMatchObject(closed);
  answer();
  expect(await call).toMatchObject({});
  expect(await refused(client.getSwarm({}))).toMatchObject(closed);
  const again = async () => {
    for await (const _ of client.watchSwarms({}));
  };
  expect(await refused(again())).toMatchObject(closed);
});
