import type { Msg } from '@nats-io/nats-core';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { HiveError, notFound } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { encodeHeaders } from '../../libs/protocol/envelope.ts';
import { type BundledCall, readCalls } from '../../libs/rpc/bundle.ts';
import { type BusClientOptions, createBusClient } from '../../libs/rpc/bus-client.ts';
import type { BusServerOptions } from '../../libs/rpc/bus-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { GetSwarmResponse, RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { busClient, clientSide, type Methods, openBus, serveOnBus, server, serverSide } from './rpc-harness.ts';

/** Calls that are made in one tick travel together, and each is otherwise as one that came alone. */

const BUNDLES = 'hive.main.rpc.registry';

/** What went over the bus as a bundle, and how much alone or again. */
let bundles: (readonly BundledCall[])[] = [];
let alone: string[] = [];

openBus();
beforeAll(() => {
  const listen = (subject: string, take: (message: Msg) => void) =>
    serverSide.subscribe(subject, { callback: (_, message) => take(message) });
  listen(BUNDLES, ({ data }) => {
    try {
      bundles.push(readCalls(data));
    } catch {
      // one that is malformed on purpose
    }
  });
  for (const subject of ['hive.main.rpc.registry.*', '_HIVE.main.rpc.registry.*']) {
    listen(subject, (message) => alone.push(message.subject));
  }
});
beforeEach(() => {
  bundles = [];
  alone = [];
});

const principal = { kind: 'operator', name: 'ada', key: 'k' } as const;

const serve = (methods: Methods, options: Partial<BusServerOptions> = {}) =>
  serveOnBus(methods, { authenticate: () => principal, ...options });

/** For tests that count messages: on a busy machine none of them is a repeat. */
const PATIENT: Partial<BusClientOptions> = { attemptMs: 10_000 };

const answerOf = (name: string) => GetSwarmResponse.fromJSON({ swarm: { name }, revision: '1' });

const echo: Methods = {
  getSwarm: async ({ name }) => {
    if (name.startsWith('gone')) throw notFound('swarm', name);
    return answerOf(name);
  },
};

const outcomes = async (calls: readonly Promise<unknown>[]): Promise<unknown[]> =>
  (await Promise.allSettled(calls)).map((each) => (each.status === 'fulfilled' ? each.value : each.reason.code));

test('calls of one tick go in one message, and each gets its own answer or error', async () => {
  await using _ = await serve(echo);
  const client = busClient(PATIENT);
  const names = ['a', 'gone', 'b'];
  const calls = names.map((name) => client.getSwarm({ name }));
  expect(await outcomes(calls)).toEqual([answerOf('a'), 'NOT_FOUND', answerOf('b')]);
  expect(bundles.map((calls) => calls.length)).toEqual([3]);
  expect(alone).toEqual([]);
});

test('a bundle without calls is answered: there is nothing that could be', async () => {
  await using _ = await serve(echo);
  const answer = await clientSide.request(BUNDLES, '{"calls":[]}', { timeout: 20_000 });
  expect(answer.headers?.get('hive-type')).toBeDefined();
  expect(answer.string()).toContain('it must hold a call at least');
});

test('one call goes alone', async () => {
  await using _ = await serve(echo);
  expect(await busClient(PATIENT).getSwarm({ name: 'a' })).toEqual(answerOf('a'));
  expect(bundles).toEqual([]);
  expect(alone).toEqual(['hive.main.rpc.registry.GetSwarm']);
});

const noRoom = () => new HiveError('RESOURCE_EXHAUSTED', 'no room', { retryable: true, retryAfterMs: 60_000 });

test('who is told that there is no room and goes on is told so again at the door, alone or with others', async () => {
  let asked = 0;
  await using _ = await serve({
    getSwarm: async () => {
      asked++;
      throw noRoom();
    },
  });
  const client = busClient(PATIENT);
  const told = new Set<unknown>();
  const ask = async (count: number) => {
    const calls = Array.from({ length: count }, () => client.getSwarm({ name: 'a' }));
    for (const outcome of await Promise.allSettled(calls)) {
      told.add(outcome.status === 'rejected' && (outcome.reason as HiveError).retryAfterMs);
    }
  };
  for (let round = 0; round < 10; round++) await ask(600);
  for (let round = 0; round < 50; round++) await ask(1);
  expect([...told]).toEqual([60_000]);
  expect(asked).toBeLessThan(3000);
});

test('what ends before it runs, too late or unreadable, costs its caller no place at the door', async () => {
  let isFull = true;
  await using _ = await serve({
    getSwarm: async ({ name }) => {
      if (isFull) throw noRoom();
      return answerOf(name);
    },
  });
  expect(await outcomes([busClient(PATIENT).getSwarm({ name: 'a' })])).toEqual(['RESOURCE_EXHAUSTED']);
  isFull = false;
  const byHand = async (body: string, lines: Record<string, string>) => {
    const options = { timeout: 20_000, headers: rawHeaders(encodeHeaders(lines)) };
    const answers = Array.from({ length: 600 }, () => clientSide.request(`${BUNDLES}.GetSwarm`, body, options));
    return new Set((await Promise.all(answers)).map((answer) => answer.json<{ code?: string }>().code));
  };
  expect(await byHand('{"nothing": "known"}', {})).toEqual(new Set(['INVALID_ARGUMENT']));
  expect(await byHand('{}', { 'hive-timeout-ms': '0' })).toEqual(new Set(['DEADLINE_EXCEEDED']));
  const names = Array.from({ length: 100 }, (_, i) => `a${i}`);
  const calls = names.map((name) => busClient(PATIENT).getSwarm({ name }));
  expect(await outcomes(calls)).toEqual(names.map(answerOf));
});

test('that there is no room settles nothing while another copy of the call is under way', async () => {
  let copies = 0;
  const api: Methods = {
    getSwarm: async ({ name }) => {
      if (++copies > 1) throw noRoom();
      await until(() => copies > 1);
      return answerOf(name);
    },
  };
  await using _ = await serve(api);
  await using _other = await serve(api);
  expect(await busClient({ attemptMs: 50 }).getSwarm({ name: 'a' })).toEqual(answerOf('a'));
});

test('each call has its own request id, trace and deadline', async () => {
  const seen: Call[] = [];
  await using _ = await serve({
    getSwarm: async ({ name }, call) => {
      seen.push(call);
      return answerOf(name);
    },
  });
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
  const traces = [
    { traceparent, correlationId: 'job-1', hops: 1 },
    { traceparent: '', correlationId: 'job-2', hops: -1 },
  ];
  let calls = 0;
  const client = busClient({ trace: () => traces[calls++] });
  await Promise.all(['a', 'b'].map((name) => client.getSwarm({ name })));
  expect(seen.map(({ trace }) => trace)).toEqual([
    { traceparent, correlationId: 'job-1', hops: 2 },
    { traceparent: '', correlationId: 'job-2', hops: 0 },
  ]);
  expect(new Set(seen.map(({ request }) => request?.counter)).size).toBe(2);
  expect(seen.map(({ principal: who }) => who)).toEqual([principal, principal]);
});

test('a large one goes alone, and many go in several messages', async () => {
  await using _ = await serve(echo);
  const client = busClient(PATIENT);
  const large = client.getSwarm({ name: 'x'.repeat(20_000) });
  await Promise.all([large, ...Array.from({ length: 600 }, (_, i) => client.getSwarm({ name: `s${i}` }))]);
  expect(bundles.length).toBeGreaterThan(2);
  expect(bundles.reduce((sum, calls) => sum + calls.length, 0)).toBe(600);
  expect(alone).toHaveLength(1);
});

test('answers that are large together come in several messages', async () => {
  const filler = 'y'.repeat(100_000);
  await using _ = await serve({
    getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name, project: filler } }),
  });
  const client = busClient();
  const answers = await Promise.all(Array.from({ length: 30 }, (_, i) => client.getSwarm({ name: `s${i}` })));
  expect(answers.map(({ swarm }) => swarm?.name)).toEqual(Array.from({ length: 30 }, (_, i) => `s${i}`));
});

test('an answer that the bus cannot carry is an error of its own call only', async () => {
  const huge = 'y'.repeat(2_000_000);
  await using _ = await serve({
    getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name, project: name === 'huge' ? huge : '' } }),
  });
  const client = busClient();
  const [one, two] = await outcomes([client.getSwarm({ name: 'huge' }), client.getSwarm({ name: 'small' })]);
  expect([one, (two as GetSwarmResponse).swarm?.name]).toEqual(['RESOURCE_EXHAUSTED', 'small']);
});

test('bounds count single calls, and what is refused for now is tried again alone', async () => {
  let running = 0;
  await using _ = await serve(
    {
      getSwarm: async ({ name }) => {
        expect(++running).toBeLessThanOrEqual(2);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return answerOf(name);
      },
    },
    { maxRequests: 2 },
  );
  const client = busClient();
  const names = ['a', 'b', 'c', 'd'];
  expect(await outcomes(names.map((name) => client.getSwarm({ name })))).toEqual(names.map(answerOf));
  expect(bundles).toHaveLength(1);
});

test('a late answer counts, and its repeat is not done again', async () => {
  const release: (() => void)[] = [];
  await using _ = await serve({
    getSwarm: async ({ name }) => {
      await new Promise<void>((resolve) => release.push(resolve));
      return answerOf(name);
    },
  });
  const client = busClient({ attemptMs: 20 });
  const calls = ['a', 'b'].map((name) => client.getSwarm({ name }));
  await until(() => alone.length >= 4);
  expect(release).toHaveLength(2);
  for (const each of release) each();
  expect(await outcomes(calls)).toEqual([answerOf('a'), answerOf('b')]);
});

test('a caller who gives up at once is not sent, and the others are', async () => {
  await using _ = await serve(echo);
  const client = busClient();
  const leaving = new AbortController();
  const calls = [
    client.getSwarm({ name: 'a' }, { signal: leaving.signal }),
    ...['b', 'c'].map((name) => client.getSwarm({ name })),
  ];
  leaving.abort();
  expect(await outcomes(calls)).toEqual(['CANCELLED', answerOf('b'), answerOf('c')]);
  expect(bundles.map((each) => each.map(({ request }) => request))).toEqual([[{ name: 'b' }, { name: 'c' }]]);
});

test('nobody there is told to each', async () => {
  const nobody = createBusClient(clientSide, 'nobody', RegistryServiceService, { federation: 'main', patienceMs: 50 });
  const calls = ['a', 'b'].map((name) => nobody.getSwarm({ name }));
  expect(await outcomes(calls)).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
});

test('a closed connection is told to each', async () => {
  const nc = await connectBus({ servers: server.url, name: 'closing', jetStream: false });
  const client = createBusClient(nc, 'registry', RegistryServiceService, { federation: 'main' });
  const calls = ['a', 'b'].map((name) => client.getSwarm({ name }));
  await nc.close();
  expect(await outcomes(calls)).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
});

test('an answer that cannot be read is the service’s fault, and settles the calls that it answers', async () => {
  const odd = serverSide.subscribe(BUNDLES, { callback: (_, message) => void message.respond('{"answers":1}') });
  await serverSide.flush();
  const client = busClient(PATIENT);
  const told = await Promise.allSettled(['a', 'b'].map((name) => client.getSwarm({ name })));
  odd.unsubscribe();
  const message = expect.stringContaining('the service answered with something that is no hivebus.Bundle');
  const fault = { status: 'rejected', reason: expect.objectContaining({ code: 'INTERNAL', message }) };
  expect(told).toEqual([fault, fault]);
});

test.each([
  ['what is no bundle', '{"calls":1}', 'INVALID_ARGUMENT'],
  ['an empty payload', '', 'INVALID_ARGUMENT'],
])('%s is refused as a whole', async (_, payload, code) => {
  await using _server = await serve(echo);
  const answer = await clientSide.request(BUNDLES, payload, { timeout: 20_000 });
  expect(answer.json()).toMatchObject({ code });
});

test.each([
  ['an unknown method', { method: 'GetSwarms', headers: {}, request: {} }, 'UNIMPLEMENTED'],
  ['a stream', { method: 'WatchSwarms', headers: {}, request: {} }, 'UNIMPLEMENTED'],
  ['a bad header', { method: 'GetSwarm', headers: { 'hive-hops': 'x' }, request: {} }, 'INVALID_ARGUMENT'],
  ['a bad request', { method: 'GetSwarm', headers: {}, request: { nam: 'a' } }, 'INVALID_ARGUMENT'],
  ['no request', { method: 'GetSwarm', headers: {} }, 'INVALID_ARGUMENT'],
])('%s is refused, and the call beside it is not', async (_, bad, code) => {
  await using _server = await serve(echo);
  const good = { method: 'GetSwarm', headers: {}, request: { name: 'a' } };
  const inbox = clientSide.subscribe('_INBOX.bundle.test');
  clientSide.publish(BUNDLES, JSON.stringify({ calls: [bad, good] }), { reply: '_INBOX.bundle.test' });
  const answers: { call: number; answer?: unknown; error?: { code: string } }[] = [];
  for await (const message of inbox) {
    answers.push(...message.json<{ answers: [] }>().answers);
    if (answers.length === 2) break;
  }
  answers.sort((a, b) => a.call - b.call);
  expect(answers[0]?.error?.code).toBe(code);
  expect(answers[1]?.answer).toEqual(answerOf('a'));
});

test('a defect in one call is its own', async () => {
  await using _ = await serve({
    getSwarm: async ({ name }) => {
      if (name === 'a') throw new HiveError('INTERNAL', 'boom');
      return answerOf(name);
    },
  });
  const client = busClient();
  const calls = ['a', 'b'].map((name) => client.getSwarm({ name }));
  expect(await outcomes(calls)).toEqual(['INTERNAL', answerOf('b')]);
});
